# The GoogleTest binaries, run by lit: every executable of build/test/bin named MoE<Area>Tests.
import os

import lit.formats

config.name = "unit"
config.suffixes = []
config.test_source_root = config.test_exec_root = os.path.join(config.moe_build, "test", "bin")
config.test_format = lit.formats.GoogleTest(".", "Tests")
