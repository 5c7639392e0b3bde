# The bucket of the farm and its users, made again each time: each may use that bucket, and nothing else of the store.
# Keys: files in $SECRETS.
set -eu
folder=${SECRETS:-/run/secrets}
secret() { cat "$folder/$1"; }

export MC_CONFIG_DIR=/tmp/mc
mc --quiet alias set farm http://s3:9000 "$(secret s3_root_user)" "$(secret s3_root_password)" >/dev/null
mc mb --ignore-existing farm/renderctl
mc admin policy create farm renderctl /setup/policy.json

# user KEY SECRET
user() {
    mc admin user add farm "$1" "$2" >/dev/null
    mc admin policy attach farm renderctl --user "$1" >/dev/null 2>&1 || true # it is attached already
    case $(mc admin user info farm "$1") in
        *renderctl*) ;;
        *) echo "The store has not given $1 its rights." >&2 && exit 1 ;;
    esac
}

user "$(secret s3_access_key)" "$(secret s3_secret_key)"
user server "$(secret server_password)"
user worker "$(secret worker_password)"
