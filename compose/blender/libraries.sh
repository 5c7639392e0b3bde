# Debian's packages, a user, and no trace of when and from where they were installed.
. /scripts/debian.sh

# shellcheck disable=SC2086
install $libraries

groupadd --gid 10000 render
useradd --uid 10000 --gid render --create-home --shell /usr/sbin/nologin render
rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /etc/*- /var/lib/dpkg/*-old /etc/machine-id
rm -rf /usr/share/man/* /usr/share/locale/* /usr/share/info/*
find /usr/share/doc -mindepth 1 ! -name copyright ! -type d -delete
find /usr/share/doc -mindepth 1 -type d -empty -delete
compile /usr/lib/python3.11
