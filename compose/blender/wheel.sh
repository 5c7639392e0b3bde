# Blender's Python module from an index of packages: in /opt/blender, a Python environment without pip.
. /scripts/debian.sh

[ ! -f /run/secrets/index ] || PIP_INDEX_URL=$(cat /run/secrets/index)
export PIP_INDEX_URL="${PIP_INDEX_URL:-https://pypi.org/simple}" PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

trust
python3.11 -m venv /tmp/pip
python3.11 -m venv --without-pip /opt/blender

wheel=/scripts/wheels/$BLENDER_VERSION.txt # one that we know, with its digest
[ -f "$wheel" ] || { wheel=/tmp/wheel.txt; echo "bpy==$BLENDER_VERSION${BLENDER_SHA256:+ --hash=sha256:$BLENDER_SHA256}" >$wheel; }
digests=--require-hashes
grep -q -- --hash= $wheel || digests= # `renderctl images build --unpinned` alone asks for that
install="/tmp/pip/bin/pip --python /opt/blender/bin/python install --quiet --no-deps --no-compile"
$install $digests -r $wheel
$install --require-hashes -r /scripts/wheels/needed.txt

rm -rf /opt/blender/bin/[Aa]ctivate* /opt/blender/include
strip --strip-unneeded /opt/blender/lib/python3.11/site-packages/bpy/__init__.so # 43 MB
find /opt/blender -type d -path '*/numpy/*' -name tests -prune -exec rm -rf {} +
compile /opt/blender
mkdir -p /added/opt
mv /opt/blender /added/opt
date_back /added
