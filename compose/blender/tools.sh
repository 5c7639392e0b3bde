# What fetches and unpacks Blender, and is no part of the image.
. /scripts/debian.sh

install python3.11-venv ca-certificates binutils xz-utils
