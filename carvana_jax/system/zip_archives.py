"""What all readers of users' ZIP archives share: errors, limits and litter.

Archives are read member by member and never unpacked: a member's path is only
looked at, and no file is ever written under it.
"""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterable

# What Python's readers raise for damaged, encrypted or unusual archives, for
# their members, and for gzip files.
READ_ERRORS = (
  OSError,
  EOFError,
  RuntimeError,  # encryption, or a compression that Python lacks
  ValueError,
  lzma.LZMAError,
  struct.error,
  zipfile.BadZipFile,
  zlib.error,
)

# The most bytes of a file, or of a member once it is unpacked, that is read as
# a whole. A photo has half a megabyte, but a file may have holes, and a few
# bytes of a ZIP can unpack to terabytes.
MOST_BYTES = 2**30

# What Windows, macOS and Synology's disks put beside users' files, in small
# letters; and the end of a file's name that says where Windows got another.
_LITTER = (
  'thumbs.db', 'desktop.ini', '$recycle.bin', '__macosx', 'icon\r', '@eadir',
)  # fmt: skip
_ZONE = ':zone.identifier'

_METHODS = (
  zipfile.ZIP_STORED,
  zipfile.ZIP_DEFLATED,
  zipfile.ZIP_BZIP2,
  zipfile.ZIP_LZMA,
)


def is_litter(parts: Iterable[str]) -> bool:
  """Returns whether a path is hidden, or made by a system unasked.

  Args:
    parts: the names of the path's folders and of its file. `.` and `..` count
      as folders that are not hidden.
  """
  return any(
    part.lower() in _LITTER
    or part.lower().endswith(_ZONE)
    or (part.startswith('.') and part not in ('.', '..'))
    for part in parts
  )


def locked(member: zipfile.ZipInfo) -> str:
  """Returns why Python cannot read a member, such as 'is encrypted'.

  Args:
    member: of an archive's directory.

  Returns:
    Words that follow the member's name; none where it can be read.
  """
  if member.flag_bits & 1:
    return 'is encrypted'
  if member.compress_type not in _METHODS:
    names, number = zipfile.compressor_names, member.compress_type
    method = names.get(number, f'method {number}')
    return f'is packed by {method}, which Python cannot read'
  return ''
