# The files of the image, in /image: those of the stage before, without what only a build has mounted there.
. /scripts/debian.sh

mkdir /image
tar -C / --one-file-system --exclude=./image --exclude=./scripts --exclude='./tmp/*' --exclude='./run/*' --exclude='./root/.*' \
    --exclude=./etc/hosts --exclude=./etc/hostname --exclude=./etc/resolv.conf -c . | tar -C /image -xp

if [ -n "${CYCLES_ONLY:-}" ]; then # libGL and libEGL have to be there when Blender is loaded; what draws for them has not
    dpkg-query -W -f '${Package} ' libgl1-mesa-dri libglx-mesa0 libegl-mesa0 libglapi-mesa libgbm1 'libllvm*' libz3-4 'libicu*' \
        libxml2 libedit2 'libdrm*' libelf1 'libsensors*' 'libwayland-*' 2>/dev/null |
        xargs dpkg --root /image --purge --force-depends >/dev/null 2>&1
fi

find /image -type f -perm /6000 -exec chmod ug-s {} + # nobody becomes somebody else in there
sed -i 's/^render:!:[0-9]*/render:!:/' /image/etc/shadow # the day on which it was made
rm -rf /image/var/log/* /image/var/cache/* /image/var/lib/dpkg/*-old
date_back /image
