"""Parses the flags of many commands without running any of them.

    python -m tests.helpers.flags_only < COMMANDS.json

Reads a JSON list of [module, arguments] and prints one of [flags, problem]: the
names of the flags that the module defines, and what it says of the arguments,
'' for nothing. Each is a fork of this process that runs the module as its user
would and ends after `cli.parse`, before large libraries are imported.
"""

import json
import os
import runpy
import sys
import tempfile

from absl import flags
from ml_collections import config_flags  # noqa: F401, shared by all forks

from carvana_jax.system import cli


def parse(module: str, arguments: list[str]) -> tuple[list[str], str]:
  """Returns the names of a module's flags, and what is wrong with arguments."""
  with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as names:
    child = os.fork()
    if not child:
      _run(module, arguments, said.fileno(), names.fileno())
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said.seek(0)
    names.seek(0)
    problem = said.read().decode().strip()
    if status and not problem:
      problem = f'{module} ends with {status}'
    return json.loads(names.read() or '[]'), problem if status else ''


def _run(module, arguments, said, names):
  """Runs a module up to the end of `cli.parse`; never returns."""
  parse_flags = cli.parse

  def parse_and_end(*args, **kwargs):
    os.write(names, json.dumps(list(flags.FLAGS)).encode())
    parse_flags(*args, **kwargs)
    os._exit(0)

  code = 1
  try:
    os.dup2(said, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    cli.parse = parse_and_end
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name='__main__', alter_sys=True)
    print(f'{module} did not parse its flags', file=sys.stderr)
  except SystemExit as ending:
    code = ending.code if isinstance(ending.code, int) else 1
  except BaseException as error:
    print(f'{type(error).__name__}: {error}', file=sys.stderr)
  finally:
    sys.stderr.flush()
    os._exit(code)


if __name__ == '__main__':
  json.dump([parse(*command) for command in json.load(sys.stdin)], sys.stdout)
