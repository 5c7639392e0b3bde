# Debian's packages, a user, and no trace of when and from where they were installed.
. /scripts/debian.sh

# python3.11 is what every wheel of bpy from 4.2 to 5.0 is for; libxxf86vm1 is for the program alone.
install python3.11 libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libxxf86vm1 libgl1 libegl1

if [ -n "${CYCLES_ONLY:-}" ]; then # libGL and libEGL have to be there when Blender is loaded; what draws for them has not
    dpkg-query -W -f '${Package} ' libgl1-mesa-dri libglx-mesa0 libegl-mesa0 libglapi-mesa libgbm1 'libllvm*' libz3-4 'libicu*' \
        libxml2 libedit2 'libdrm*' libelf1 'libsensors*' 'libwayland-*' 2>/dev/null | xargs dpkg --purge --force-depends >/dev/null
fi

groupadd --gid 10000 render
useradd --uid 10000 --gid render --create-home --shell /usr/sbin/nologin render
rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /etc/*- /var/lib/dpkg/*-old /etc/machine-id
rm -rf /usr/share/man/* /usr/share/locale/* /usr/share/info/*
find /usr/share/doc -mindepth 1 ! -name copyright ! -type d -delete
find /usr/share/doc -mindepth 1 -type d -empty -delete
compile /usr/lib/python3.11

# Without what only the build has mounted, and without the right to become somebody else.
mkdir /image
tar -C / --one-file-system --exclude=./image --exclude=./scripts --exclude='./tmp/*' --exclude='./run/*' --exclude='./root/.*' \
    --exclude=./etc/hosts --exclude=./etc/hostname --exclude=./etc/resolv.conf -c . | tar -C /image -xp
find /image -type f -perm /6000 -exec chmod ug-s {} +
date_back /image
