# Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the scripts of this folder share: their command line, compiling kernels, and launching them through the driver.

Each is `SCRIPT ACTION DIR ...`. `compile` is for where the compiler is and fills DIR, which may then be copied; `run`,
and what else a script has, is for where the GPU and PyTorch are; `both` is for a machine that has everything.
"""
import argparse
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def fail(text):
    sys.exit(f"{os.path.basename(sys.argv[0])}: error: {text}")


def find_tool(build, name):
    path = os.path.join(build, "bin", name)
    if not os.path.exists(path):
        fail(f"there is no '{path}'; build the project, or say where it was built with --build")
    return path


def call(command):
    """What a tool of the project prints. What it says if it fails is the error."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        fail(f"{os.path.basename(command[0])} failed:\n{result.stderr.strip()}")
    return result.stdout


def call_moe_opt(options, arguments):
    return call([find_tool(options.build, "moe-opt"), *arguments, "--mlir-print-op-on-diagnostic=false"])


def load_torch(needs_gpu=True):
    try:
        import torch
    except ImportError as error:
        fail(f"this needs PyTorch: {error}")
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.zeros(1, device="cuda")  # Makes the context that kernels are loaded into.
    elif needs_gpu:
        fail("this needs a GPU, and PyTorch finds none")
    return torch


def make_parser(usage, actions):
    """A parser with a sub-command for each of `actions`, {name: what it does}, and those by name."""
    summary, _, rest = usage.partition("\n")
    parser = argparse.ArgumentParser(description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="action", required=True, metavar="|".join(actions))
    parsers = {name: commands.add_parser(name, help=what, description=what) for name, what in actions.items()}
    for name, command in parsers.items():
        command.add_argument("folder", metavar="DIR", help="compiled kernels")
        if name in ("compile", "both"):
            command.add_argument("--build", default=os.path.join(TOP, "build"), help="where the project was built")
    return parser, parsers


ACTIONS = {"compile": "compile into DIR; where the compiler is", "run": "check and time what is in DIR; where the GPU is",
           "both": "compile and run; where both are"}


class Script:
    """A script about kernels.

    `cases()` have names. `compile(folder, options)` compiles all of them. `prepare(action, folder)` gives what is called for
    each case, or for those that were named, and says whether it was right.
    """

    def __init__(self, usage, cases, compile, prepare, extra_actions=None, declare=lambda parser: None,
                 device=lambda torch: torch.cuda.get_device_name()):
        self.usage, self.cases, self.compile, self.prepare = usage, cases, compile, prepare
        self.actions, self.declare, self.device = {**ACTIONS, **(extra_actions or {})}, declare, device

    def main(self):
        parser, parsers = make_parser(self.usage, self.actions)
        for name, command in parsers.items():
            if name in ("compile", "both"):
                command.add_argument("--arch", default="sm_90a", help="what to compile for (sm_90a)")
                self.declare(command)
            if name != "compile":
                command.add_argument("names", metavar="CASE", nargs="*", help="only these")
        options = parser.parse_args()
        if options.action != "compile":
            known = [case.name for case in self.cases()]
            if unknown := [name for name in options.names if name not in known]:
                fail(f"there is no case '{unknown[0]}'; there are: {', '.join(known)}")
        if options.action in ("compile", "both"):
            self.compile(options.folder, options)
        if options.action != "compile":
            sys.exit(0 if self.run(options.action, options.folder, options.names) else 1)

    def run(self, action, folder, names):
        launches_of(folder)  # If there are none, that is said before PyTorch is loaded.
        print(self.device(load_torch()), flush=True)
        run = self.prepare("run" if action == "both" else action, folder)
        return all([run(case) for case in self.cases() if not names or case.name in names])


def compile_kernels(folder, kernels, options, aliases=""):
    """Writes the PTX of `kernels` (their text) into `folder`, and launches.json, which says how to launch them."""
    os.makedirs(folder, exist_ok=True)
    source = os.path.join(folder, "kernels.mlir")
    with open(source, "w") as file:
        file.write(f'{aliases}module attributes {{moe.target = "cuda:{options.arch}"}} {{\n{kernels}}}\n')
    with tempfile.TemporaryDirectory() as dump:
        module = call_moe_opt(options, [source, "--moe-configure", f"--moe-cuda-codegen=dump-to={dump}"])
        for name in os.listdir(dump):
            if name.endswith(".ptx"):
                shutil.copy(os.path.join(dump, name), folder)
    launches = {}
    for line in module.splitlines():
        if not (kernel := re.search(r"moe_exec\.kernel @(\w+) in", line)):
            continue
        numbers = {key: json.loads(f"[{value}]") for key, value in re.findall(r"(\w+) = array<i64: ([^>]*)>", line)}
        maps = [{"buffer": int(buffer), "type": element, "swizzle": int(swizzle),
                 **{key: json.loads(value) for key, value in re.findall(r"(\w+)(\[[^\]]*\])", rest)}}
                for buffer, element, rest, swizzle in re.findall(r"tensor_map<buffer (\d+) : (\w+), (.*?), swizzle (\d+)>", line)]
        shared = int(re.search(r"shared_bytes = (\d+)", line).group(1))
        launches[kernel.group(1)] = {"grid": numbers["grid"], "block": numbers["block"], "shared": shared, "maps": maps,
                                     "dependent": "dependent_launch" in line}
    with open(os.path.join(folder, "launches.json"), "w") as file:
        json.dump(launches, file)


def launches_of(folder):
    path = os.path.join(folder, "launches.json")
    if not os.path.exists(path):
        fail(f"'{folder}' holds no kernels; make it with 'compile', where the compiler is")
    with open(path) as file:
        return json.load(file)


class LaunchAttribute(ctypes.Structure):
    """CUlaunchAttribute of cuda.h, whose value has 64 bytes."""
    _fields_ = [("id", ctypes.c_uint64), ("value", ctypes.c_uint32 * 16)]


class LaunchConfig(ctypes.Structure):
    """CUlaunchConfig of cuda.h."""
    _fields_ = [("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3), ("shared", ctypes.c_uint),
                ("stream", ctypes.c_void_p), ("attributes", ctypes.POINTER(LaunchAttribute)), ("count", ctypes.c_uint)]


PROGRAMMATIC_STREAM_SERIALIZATION = 6


class Kernel:
    """A compiled kernel, through the driver API."""

    def __init__(self, folder, name, launch):
        self.cuda, self.launch = ctypes.CDLL("libcuda.so.1"), launch
        module, self.function = ctypes.c_void_p(), ctypes.c_void_p()
        with open(os.path.join(folder, name + ".ptx"), "rb") as file:
            self.check(self.cuda.cuModuleLoadData(ctypes.byref(module), file.read() + b"\0"))
        self.check(self.cuda.cuModuleGetFunction(ctypes.byref(self.function), module, name.encode()))
        self.check(self.cuda.cuFuncSetAttribute(self.function, 8, launch["shared"]))

    def check(self, result):
        if result:
            text = ctypes.c_char_p()
            self.cuda.cuGetErrorString(result, ctypes.byref(text))
            fail(f"CUDA error {result}: {(text.value or b'unknown').decode()}")

    def encode(self, tensor_map, address):
        """An aligned CUtensorMap, with zeros outside."""
        dims, strides, box = tensor_map["dims"], tensor_map.get("strides") or [0], tensor_map["box"]
        swizzle = {0: 0, 32: 1, 64: 2, 128: 3}[tensor_map["swizzle"]]
        memory = ctypes.create_string_buffer(256)
        start = -ctypes.addressof(memory) % 128
        self.check(self.cuda.cuTensorMapEncodeTiled(
            ctypes.byref(memory, start), {"f32": 7, "bf16": 9}[tensor_map["type"]], len(dims), ctypes.c_void_p(address),
            (ctypes.c_uint64 * len(dims))(*dims), (ctypes.c_uint64 * len(strides))(*strides),
            (ctypes.c_uint32 * len(box))(*box), (ctypes.c_uint32 * len(box))(*[1] * len(box)), 0, swizzle, 3, 0))
        return (ctypes.c_char * 128).from_buffer(memory, start)

    def bind(self, tensors, stream):
        """What launches it on `tensors`; early if asked and if the runtime would: before the kernel before it ends."""
        parameters = [ctypes.c_uint64(tensor.data_ptr()) for tensor in tensors]
        parameters += [self.encode(m, tensors[m["buffer"]].data_ptr()) for m in self.launch["maps"]]
        pointers = (ctypes.c_void_p * len(parameters))(*[ctypes.addressof(p) for p in parameters])
        dependent = LaunchAttribute(PROGRAMMATIC_STREAM_SERIALIZATION, (1,))
        config = LaunchConfig(tuple(self.launch["grid"]), tuple(self.launch["block"]), self.launch["shared"], stream,
                              ctypes.pointer(dependent), 0)

        def run(early=False, _keep=(parameters, tensors, dependent)):
            config.count = early and self.launch["dependent"]
            self.check(self.cuda.cuLaunchKernelEx(ctypes.byref(config), self.function, pointers, None))
        return run


def seconds(torch, launches, count):
    begin, end = torch.cuda.Event(True), torch.cuda.Event(True)
    begin.record()
    for i in range(count):
        launches[i % len(launches)]()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / count * 1e-3
