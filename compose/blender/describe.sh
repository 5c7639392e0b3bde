# The bill of materials of an image (see sbom.py), in what is added to it.   usage: describe.sh NAME FOLDERS…
. /scripts/debian.sh

name=$1
shift
folder=/added/usr/share/doc/renderctl
mkdir -p $folder
python3.11 /scripts/sbom.py "$name" "${BLENDER_VERSION:-}" "$@" >$folder/sbom.cdx.json
date_back /added
