# Debian's packages, a user, and no trace of when and from where they were installed.
. /scripts/debian.sh

# python3.11 is what every wheel of bpy from 4.2 to 5.0 is for; libxxf86vm1 is for the program alone.
install python3.11 libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libxxf86vm1 libgl1 libegl1

groupadd --gid 10000 render
useradd --uid 10000 --gid render --create-home --shell /usr/sbin/nologin render
rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /etc/*- /var/lib/dpkg/*-old /etc/machine-id
rm -rf /usr/share/man/* /usr/share/locale/* /usr/share/info/*
find /usr/share/doc -mindepth 1 ! -name copyright ! -type d -delete
find /usr/share/doc -mindepth 1 -type d -empty -delete
compile /usr/lib/python3.11
