# Tests are .mlir and .test files with RUN lines. Substitutions and features:
#
#   %moe-opt  %moe-run  %moe-conformance  %moe-bench      the tools of this build
#   %kjv-text               writes the King James text: %kjv-text DIRECTORY [FIRST LAST]
#   %models                 docs/models, the descriptions that users see
#   %source  %build         the top of the source and of the build tree
#   %python                 Python 3 without packages
#   FileCheck, not, split-file, diff, cmp as usual
#
#   REQUIRES: compiler      moe-opt is part of this build
#             kjv           Debian's bible-kjv packages are installed
#             torch         Python 3 finds PyTorch
#             ptxas         NVIDIA's assembler is on the PATH or in /usr/local/cuda/bin
#             nvtx          the headers of NVTX were found: %nvtx-profiler is a profiler that prints ranges
#             gpu           there is an NVIDIA GPU and its driver
#
# Inputs that are not tests themselves live in folders named Inputs.
import importlib.util
import os
import shutil
import sys

import lit.formats

config.name = "moe"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "cases"]
config.recursiveExpansionLimit = 4  # of DEFINE: lines that use one another
config.test_source_root = os.path.join(config.moe_source, "test")
config.test_exec_root = os.path.join(config.moe_build, "test")

tools = os.path.join(config.moe_build, "bin")
config.environment["PATH"] = os.pathsep.join([tools, "/usr/lib/llvm-22/bin", config.environment.get("PATH", "")])

config.substitutions += [
    ("%moe-bench", os.path.join(tools, "moe-bench")),
    ("%moe-conformance", os.path.join(tools, "moe-conformance")),
    ("%moe-opt", os.path.join(tools, "moe-opt")),
    ("%moe-run", os.path.join(tools, "moe-run")),
    ("%kjv-text", os.path.join(config.moe_source, "tools", "kjv-text")),
    ("%models", os.path.join(config.moe_source, "docs", "models")),
    ("%source", config.moe_source),
    ("%build", config.moe_build),
    ("%python", sys.executable),
]

if config.moe_compiler.upper() in ("ON", "TRUE", "1"):
    config.available_features.add("compiler")
else:
    config.excludes += ["dialects", "passes", "conformance", "plugin"]
if config.moe_sanitize:
    config.available_features.add("sanitize")
if shutil.which("bible"):
    config.available_features.add("kjv")
if importlib.util.find_spec("torch"):
    config.available_features.add("torch")
if shutil.which("ptxas") or os.path.exists("/usr/local/cuda/bin/ptxas"):
    config.available_features.add("ptxas")
profiler = os.path.join(config.moe_build, "test", "lib", "libMoENvtxProfiler.so")
if config.moe_nvtx and not config.moe_nvtx.endswith("NOTFOUND"):
    config.available_features.add("nvtx")
    config.substitutions.append(("%nvtx-profiler", profiler))
if os.path.exists("/dev/nvidiactl"):
    config.available_features.add("gpu")
