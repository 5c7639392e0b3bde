"""Applies a sandbox to itself, then executes the program: `python apply_sandbox.py OPTIONS -- PROGRAM …`.

The restrictions hold for every thread and child, and cannot be lifted. The options are those that `Sandbox.wrap`
writes. Every session starts with this, so it imports only what is quick to import.
"""

import ctypes
import os
import resource
import struct
import sys

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  #: system calls, the same on every processor
_ASK_VERSION, _PATH_BENEATH = 1, 1
_NO_NEW_PRIVILEGES, _DROP_CAPABILITY, _AMBIENT, _CLEAR_ALL = 38, 24, 47, 4
_NO_LANDLOCK = (38, 95)  #: ENOSYS, EOPNOTSUPP: not built in, not switched on
_DAC_OVERRIDE = 1  #: the only capability that root keeps: scratch files may belong to another user
_CAPABILITIES, _CAPABILITY_VERSION = 64, 0x20080522
#: seccomp(2) and its flag SPEC_ALLOW, without which kernels before 5.16 slow down filtered programs.
_SECCOMP, _SET_FILTER, _KEEP_SPEED = {"x86_64": 317, "aarch64": 277}, 1, 1 << 2
_INSTRUCTION = 8  #: bytes
_NO_SECCOMP = (22, 38)  #: EINVAL, ENOSYS: not built in

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR_DEVICE, _MAKE_BLOCK_DEVICE, _TRUNCATE, _IOCTL = 1 << 6, 1 << 11, 1 << 14, 1 << 15
_ALL = (1 << 16) - 1
#: Rights that apply to files; the others only to folders.
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
RIGHTS = {
    "--read": _EXECUTE | _READ_FILE | _READ_FOLDER,
    "--write": _ALL & ~(_EXECUTE | _MAKE_CHAR_DEVICE | _MAKE_BLOCK_DEVICE | _IOCTL),
    "--device": _READ_FILE | _WRITE_FILE | _READ_FOLDER | _IOCTL,
}
#: Number of rights by Landlock version; the last one holds for later versions.
_RIGHTS_BY_VERSION = (13, 14, 15, 15, 16)
EXIT_CANNOT_START = 126  #: exit code if the sandbox or the program in it cannot be started


def landlock_version() -> int:
    """Return this kernel's Landlock version, or 0. It restricts TCP from 4, signals and abstract sockets from 6 on."""
    try:
        version = int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION))
    except (OSError, AttributeError):  # not Linux
        return 0
    return max(version, 0)


def apply(paths: list[tuple[str, str]], memory_mb: int, file_mb: int, call_filter: bytes = b"") -> bool:
    """Restrict this process to `paths` (option, path); returns whether files are restricted. 0 MB: unlimited.

    Raises OSError if the kernel supports a restriction and refuses it.
    """
    for limit, most_mb in ((resource.RLIMIT_DATA, memory_mb), (resource.RLIMIT_FSIZE, file_mb)):
        if most_mb:
            resource.setrlimit(limit, (most_mb << 20, most_mb << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not sys.platform.startswith("linux"):
        return False
    libc = _libc()
    _check(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "privileges")
    version = landlock_version()
    if version:
        _apply_landlock(libc, version, paths)
    _drop_capabilities(libc)
    if call_filter:
        _apply_seccomp(libc, call_filter)
    return version > 0


def _apply_landlock(libc: ctypes.CDLL, version: int, paths: list[tuple[str, str]]) -> None:
    known = (1 << _RIGHTS_BY_VERSION[min(version, len(_RIGHTS_BY_VERSION)) - 1]) - 1
    network, scopes = (0b11 if version >= 4 else 0), (0b11 if version >= 6 else 0)
    attributes = struct.pack("QQQ", known, network, scopes)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = int(libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0))
    _check(ruleset, "a ruleset")
    for option, path in paths:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:  # a missing path needs no rule
            continue
        allowed = RIGHTS[option] & known & (-1 if os.path.isdir(path) else _FILE_RIGHTS)  # noqa: PTH112
        _check(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", allowed, descriptor), 0), path)
        os.close(descriptor)
    _check(libc.syscall(_RESTRICT_SELF, ruleset, 0), "the sandbox")
    os.close(ruleset)


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Drop root's capabilities but for files, in this process and (by the bounding set) in the program."""
    libc.prctl(_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    for capability in range(_CAPABILITIES):
        if capability != _DAC_OVERRIDE:
            libc.prctl(_DROP_CAPABILITY, capability, 0, 0, 0)  # fails for other users, who have none
    header, data = struct.pack("=II", _CAPABILITY_VERSION, 0), ctypes.create_string_buffer(24)
    _check(libc.capget(header, data), "capabilities")
    capabilities = struct.unpack_from("=I", data, 4)[0] & (
        1 << _DAC_OVERRIDE
    )  # of effective, permitted, inheritable ones
    _check(libc.capset(header, struct.pack("=6I", capabilities, capabilities, 0, 0, 0, 0)), "capabilities")


def _apply_seccomp(libc: ctypes.CDLL, program: bytes) -> None:
    code = ctypes.create_string_buffer(program, len(program))
    program_header = struct.pack("@HP", len(program) // _INSTRUCTION, ctypes.addressof(code))
    result = libc.syscall(_SECCOMP[os.uname().machine], _SET_FILTER, _KEEP_SPEED, program_header)
    if result < 0 and ctypes.get_errno() not in _NO_SECCOMP:
        _check(result, "the filter of system calls")


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Parse the options, apply the sandbox and execute the program; exits with EXIT_CANNOT_START otherwise."""
    args = sys.argv[1:]
    options, program = args[: args.index("--")], args[args.index("--") + 1 :]
    pairs = list(zip(options[::2], options[1::2], strict=True))
    limits = {option: value for option, value in pairs if option not in RIGHTS}
    memory_mb, file_mb = (int(limits.get(option, 0)) for option in ("--memory-mb", "--file-mb"))
    call_filter = bytes.fromhex(limits.get("--filter", ""))
    paths = [(option, value) for option, value in pairs if option in RIGHTS]
    try:
        if not apply(paths, memory_mb, file_mb, call_filter):
            print("This kernel has no Landlock: files and the network are not restricted.", file=sys.stderr, flush=True)
        os.execv(program[0], program)
    except OSError as error:
        print(f"{program[0]} cannot be started in a sandbox: {error}.", file=sys.stderr, flush=True)
        sys.exit(EXIT_CANNOT_START)


if __name__ == "__main__":
    main()
