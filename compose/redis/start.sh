# Redis with a user for each part of the farm, which may use the keys of the farm alone. Passwords: files in $SECRETS.
# What comes behind the script's name is Redis' own.
set -eu
folder=${SECRETS:-/run/secrets}
config=${CONFIG:-/data/redis.conf}
rights="~renderctl:* resetchannels -@all +@read +@write +@scripting +@transaction +@connection -@dangerous +info"

# A password as Redis' users have it.
hashed() { printf '#%s' "$(sha256sum "$folder/$1" | cut -d ' ' -f 1)"; }

umask 077
cat >"$config" <<CONFIG
user default on $(hashed redis_password) $rights
user server on $(hashed server_password) $rights
user worker on $(hashed worker_password) $rights
CONFIG
exec redis-server "$config" "$@"
