# Users of the farm's database, made again each time: `renderctl` owns the tables, which `database upgrade` needs and nobody
# else; `server` and `worker` may read and change what is in them. Passwords: files in $SECRETS. $MYSQL_HOST: the server.
set -eu
folder=${SECRETS:-/run/secrets}

# A text as SQL has it.
quoted() { printf "'%s'" "$(sed "s/[\\\\']/\\\\&/g" "$folder/$1")"; }

# user NAME SECRET RIGHTS: with these and no others.
user() {
    cat <<SQL
CREATE USER IF NOT EXISTS '$1'@'%';
ALTER USER '$1'@'%' IDENTIFIED BY $(quoted "$2");
REVOKE ALL PRIVILEGES, GRANT OPTION FROM '$1'@'%';
GRANT $3 ON renderctl.* TO '$1'@'%';
SQL
}

MYSQL_PWD=$(cat "$folder/mysql_root_password")
export MYSQL_PWD
{
    echo "CREATE DATABASE IF NOT EXISTS renderctl CHARACTER SET utf8mb4;"
    user renderctl mysql_password "ALL PRIVILEGES"
    user server server_password "SELECT, INSERT, UPDATE, DELETE"
    user worker worker_password "SELECT, INSERT, UPDATE, DELETE"
} | mysql --host "${MYSQL_HOST:-mysql}" --user root
