"""`python tools/sbom.py`: write locks/renderctl.cdx.json, the bill of materials (CycloneDX) that goes with every wheel.

It names what locks/base.txt pins, with the digests, and which of it renderctl asks for itself. The same pins give the
same file, byte for byte.
"""

import tomllib
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK, SBOM = ROOT / "locks" / "base.txt", ROOT / "locks" / "renderctl.cdx.json"


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    components = [_component(line) for line in _lines(LOCK)]
    root = Component(
        name=project["name"],
        type=ComponentType.APPLICATION,
        bom_ref=project["name"],
        description=project["description"],
        licenses=[DisjunctiveLicense(id=project["license"])],
    )
    bom = Bom(
        metadata=BomMetaData(component=root),
        components=components,
        serial_number=uuid5(NAMESPACE_URL, LOCK.read_text(encoding="utf-8")),
    )
    bom.metadata.timestamp = None  # the same pins, the same file
    direct = {canonicalize_name(Requirement(needed).name) for needed in project["dependencies"]}
    bom.register_dependency(root, [component for component in components if component.name in direct])
    SBOM.write_text(JsonV1Dot6(bom).output_as_string(indent=1) + "\n", encoding="utf-8")


def _lines(lock: Path) -> list[str]:
    lines = lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _component(line: str) -> Component:
    """A pin: its files have any of these digests."""
    words, *digests = line.split("--hash=sha256:")
    requirement = Requirement(words)
    name, version = canonicalize_name(requirement.name), str(requirement.specifier).removeprefix("==")
    purl = PackageURL("pypi", name=name, version=version)
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest.strip()) for digest in digests]
    files = ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(str(purl)), hashes=hashes)
    return Component(name=name, version=version, purl=purl, bom_ref=str(purl), external_references=[files])


if __name__ == "__main__":
    main()
