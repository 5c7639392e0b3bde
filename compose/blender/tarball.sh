# Blender's program as it is published: in /opt/blender, of what is added to the image.
. /scripts/debian.sh

cat /etc/ssl/certs/ca-certificates.crt $(ls $extra 2>/dev/null) >/tmp/authorities
SSL_CERT_FILE=/tmp/authorities python3.11 -c 'import sys, urllib.request; urllib.request.urlretrieve(*sys.argv[1:])' \
    "$BLENDER_URL" /tmp/blender.tar.xz
[ -z "${BLENDER_SHA256:-}" ] || echo "$BLENDER_SHA256  /tmp/blender.tar.xz" | sha256sum --check --quiet
mkdir -p /added/opt/blender
tar -xf /tmp/blender.tar.xz -C /added/opt/blender --strip-components 1 --no-same-owner
/added/opt/blender/blender --version | grep -q "^Blender ${BLENDER_VERSION}" # what the label says
date_back /added
