"""`python3.11 sbom.py NAME VERSION FOLDER…`: the bill of materials of this image (CycloneDX 1.6), on standard output.

It names Debian's packages, the Python packages that are installed in the folders, and Blender itself when VERSION is
given. It runs where there is nothing but Python, and the same packages give the same file.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import distributions
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5


def bill(name: str, version: str, folders: Sequence[str]) -> dict[str, object]:
    """The document."""
    root = {"type": "container", "bom-ref": name, "name": name} | ({"version": version} if version else {})
    described = (*_of_debian(), *_of_python(folders), *_blender(version))
    by_ref = {component["bom-ref"]: component for component in described}
    components = [by_ref[ref] for ref in sorted(by_ref)]
    contents = json.dumps([root, components], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, contents)}",
        "version": 1,
        "metadata": {"component": root},
        "components": components,
        "dependencies": [{"ref": name, "dependsOn": sorted(by_ref)}],
    }


def _of_debian() -> Iterator[dict[str, str]]:
    fields = "${db:Status-Abbrev}|${Package}|${Version}|${Architecture}\n"
    words = ["dpkg-query", "--show", "--showformat", fields]
    for line in subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines():
        status, name, version, architecture = line.split("|")
        if status.startswith("ii"):
            purl = f"pkg:deb/debian/{quote(name, safe='')}@{quote(version, safe='')}?arch={architecture}"
            yield _component("library", name, version, purl)


def _of_python(folders: Sequence[str]) -> Iterator[dict[str, str]]:
    for package in distributions(path=list(folders)):
        name = package.metadata["Name"].lower().replace("_", "-")
        yield _component("library", name, package.version, f"pkg:pypi/{name}@{quote(package.version, safe='')}")


def _blender(version: str) -> Iterator[dict[str, str]]:
    if version:
        yield _component("application", "blender", version, f"pkg:generic/blender@{version}")


def _component(kind: str, name: str, version: str, purl: str) -> dict[str, str]:
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}


if __name__ == "__main__":
    print(json.dumps(bill(sys.argv[1], sys.argv[2], sys.argv[3:]), indent=1))
