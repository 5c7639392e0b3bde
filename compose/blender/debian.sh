# For the other scripts: Debian's packages, from the mirror and through the proxy of whoever builds; no trace of these stays.
extra=/run/secrets/ca # authorities
# python3.11 is what every bpy from 4.2 to 5.0 is for; libgomp1 is for 4.2, libxxf86vm1 for the program; libgl1 brings Mesa.
libraries="python3.11 libgomp1 libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libice6 libxext6 libxxf86vm1 libgl1 libegl1"
export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/tmp/apt.conf PYTHONDONTWRITEBYTECODE=1

# install NAMES…
install() {
    printf '%s\n' 'Acquire::Retries "3";' 'APT::Update::Error-Mode "any";' 'APT::Install-Recommends "false";' >$APT_CONFIG
    [ ! -s $extra ] || printf 'Acquire::https::CaInfo "%s";\n' $extra >>$APT_CONFIG
    tar -cf /tmp/sources.tar -C / etc/apt
    find /etc/apt/sources.list /etc/apt/sources.list.d -type f 2>/dev/null |
        xargs sed -Ei "s#https?://deb\.debian\.org/debian#${APT_MIRROR:-&}#"
    apt-get -qq update
    apt-get -qq install "$@" >/dev/null
    tar -xf /tmp/sources.tar -C /
    rm /tmp/sources.tar $APT_CONFIG
}

# Have pip trust them, too, beside those that it brings along; needs ca-certificates.
trust() {
    [ -s $extra ] || return 0
    cat /etc/ssl/certs/ca-certificates.crt $extra >/tmp/authorities
    export PIP_CERT=/tmp/authorities
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
