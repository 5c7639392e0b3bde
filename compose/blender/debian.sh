# For the other scripts: Debian's packages, from the mirror and through the proxy of whoever builds; no trace of these stays.
extra=/run/secrets/ca # authorities
export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/tmp/apt.conf PYTHONDONTWRITEBYTECODE=1

# install NAMES…
install() {
    printf '%s\n' 'Acquire::Retries "3";' 'APT::Update::Error-Mode "any";' 'APT::Install-Recommends "false";' >$APT_CONFIG
    [ ! -f $extra ] || printf 'Acquire::https::CaInfo "%s";\n' $extra >>$APT_CONFIG
    tar -cf /tmp/sources.tar -C / etc/apt
    find /etc/apt/sources.list /etc/apt/sources.list.d -type f 2>/dev/null |
        xargs sed -Ei "s#https?://deb\.debian\.org/debian#${APT_MIRROR:-&}#"
    apt-get -qq update
    apt-get -qq install "$@" >/dev/null
    tar -xf /tmp/sources.tar -C /
    rm /tmp/sources.tar $APT_CONFIG
}

# Byte code that is the same whenever it is compiled, and that no start has to check against its source.
compile() {
    find "$1" -name __pycache__ -type d -prune -exec rm -rf {} +
    /usr/bin/python3.11 -m compileall -q --invalidation-mode unchecked-hash "$1" >/dev/null || true # some are for tests
}

# Nothing that we made is younger than the date that was asked for.
date_back() {
    find "$1" -xdev -newermt "@$SOURCE_DATE_EPOCH" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
}
