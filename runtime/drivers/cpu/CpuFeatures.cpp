//===- CpuFeatures.cpp - What this processor can execute ------------------===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/drivers/cpu/CpuFeatures.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace moe::drivers::cpu {

#if defined(__x86_64__)
namespace {

enum Register { eax, ebx, ecx, edx };

/// Register state that the operating system must save, as bits of XCR0 (Intel SDM volume 1, section 13.3).
enum State : std::uint32_t { none = 0, ymm = 0x6, zmm = 0xe6, tiles = 0x60000, apx = 0x80000 };

struct Feature {
  std::string_view name;
  std::uint32_t leaf, subleaf;
  Register reg;
  int bit;
  State state = none;
};

constexpr std::uint32_t kExtended1 = 0x80000001, kExtended8 = 0x80000008;

/// LLVM's names (llvm/TargetParser/X86TargetParser.def) with the CPUID bits of Intel's SDM volume 2, "CPUID", and AMD's
/// APM volume 3, appendix E.
constexpr Feature kFeatures[] = {
    {"64bit", kExtended1, 0, edx, 29},
    {"adx", 7, 0, ebx, 19},
    {"aes", 1, 0, ecx, 25},
    {"amx-avx512", 0x1e, 1, eax, 7, tiles},
    {"amx-bf16", 7, 0, edx, 22, tiles},
    {"amx-complex", 7, 1, edx, 8, tiles},
    {"amx-fp16", 7, 1, eax, 21, tiles},
    {"amx-fp8", 0x1e, 1, eax, 4, tiles},
    {"amx-int8", 7, 0, edx, 25, tiles},
    {"amx-movrs", 0x1e, 1, eax, 8, tiles},
    {"amx-tf32", 0x1e, 1, eax, 6, tiles},
    {"amx-tile", 7, 0, edx, 24, tiles},
    {"avx", 1, 0, ecx, 28, ymm},
    {"avx2", 7, 0, ebx, 5, ymm},
    {"avx512bf16", 7, 1, eax, 5, zmm},
    {"avx512bitalg", 7, 0, ecx, 12, zmm},
    {"avx512bw", 7, 0, ebx, 30, zmm},
    {"avx512cd", 7, 0, ebx, 28, zmm},
    {"avx512dq", 7, 0, ebx, 17, zmm},
    {"avx512f", 7, 0, ebx, 16, zmm},
    {"avx512fp16", 7, 0, edx, 23, zmm},
    {"avx512ifma", 7, 0, ebx, 21, zmm},
    {"avx512vbmi", 7, 0, ecx, 1, zmm},
    {"avx512vbmi2", 7, 0, ecx, 6, zmm},
    {"avx512vl", 7, 0, ebx, 31, zmm},
    {"avx512vnni", 7, 0, ecx, 11, zmm},
    {"avx512vp2intersect", 7, 0, edx, 8, zmm},
    {"avx512vpopcntdq", 7, 0, ecx, 14, zmm},
    {"avxifma", 7, 1, eax, 23, ymm},
    {"avxneconvert", 7, 1, edx, 5, ymm},
    {"avxvnni", 7, 1, eax, 4, ymm},
    {"avxvnniint16", 7, 1, edx, 10, ymm},
    {"avxvnniint8", 7, 1, edx, 4, ymm},
    {"bmi", 7, 0, ebx, 3},
    {"bmi2", 7, 0, ebx, 8},
    {"ccmp", 7, 1, edx, 21, apx},
    {"cf", 7, 1, edx, 21, apx},
    {"cldemote", 7, 0, ecx, 25},
    {"clflushopt", 7, 0, ebx, 23},
    {"clwb", 7, 0, ebx, 24},
    {"clzero", kExtended8, 0, ebx, 0},
    {"cmov", 1, 0, edx, 15},
    {"cmpccxadd", 7, 1, eax, 7},
    {"crc32", 1, 0, ecx, 20},
    {"cx16", 1, 0, ecx, 13},
    {"cx8", 1, 0, edx, 8},
    {"egpr", 7, 1, edx, 21, apx},
    {"enqcmd", 7, 0, ecx, 29},
    {"evex512", 7, 0, ebx, 16, zmm},
    {"f16c", 1, 0, ecx, 29, ymm},
    {"fma", 1, 0, ecx, 12, ymm},
    {"fma4", kExtended1, 0, ecx, 16, ymm},
    {"fsgsbase", 7, 0, ebx, 0},
    {"fxsr", 1, 0, edx, 24},
    {"gfni", 7, 0, ecx, 8},
    {"hreset", 7, 1, eax, 22},
    {"invpcid", 7, 0, ebx, 10},
    {"kl", 7, 0, ecx, 23},
    {"lwp", kExtended1, 0, ecx, 15},
    {"lzcnt", kExtended1, 0, ecx, 5},
    {"mmx", 1, 0, edx, 23},
    {"movbe", 1, 0, ecx, 22},
    {"movdir64b", 7, 0, ecx, 28},
    {"movdiri", 7, 0, ecx, 27},
    {"movrs", 7, 1, eax, 31},
    {"mwaitx", kExtended1, 0, ecx, 29},
    {"ndd", 7, 1, edx, 21, apx},
    {"nf", 7, 1, edx, 21, apx},
    {"pclmul", 1, 0, ecx, 1},
    {"pconfig", 7, 0, edx, 18},
    {"pku", 7, 0, ecx, 4},
    {"popcnt", 1, 0, ecx, 23},
    {"ppx", 7, 1, edx, 21, apx},
    {"prefetchi", 7, 1, edx, 14},
    {"prfchw", kExtended1, 0, ecx, 8},
    {"ptwrite", 0x14, 0, ebx, 4},
    {"push2pop2", 7, 1, edx, 21, apx},
    {"raoint", 7, 1, eax, 3},
    {"rdpid", 7, 0, ecx, 22},
    {"rdpru", kExtended8, 0, ebx, 4},
    {"rdrnd", 1, 0, ecx, 30},
    {"rdseed", 7, 0, ebx, 18},
    {"rtm", 7, 0, ebx, 11},
    {"sahf", kExtended1, 0, ecx, 0},
    {"serialize", 7, 0, edx, 14},
    {"sgx", 7, 0, ebx, 2},
    {"sha", 7, 0, ebx, 29},
    {"sha512", 7, 1, eax, 0, ymm},
    {"shstk", 7, 0, ecx, 7},
    {"sm3", 7, 1, eax, 1, ymm},
    {"sm4", 7, 1, eax, 2, ymm},
    {"sse", 1, 0, edx, 25},
    {"sse2", 1, 0, edx, 26},
    {"sse3", 1, 0, ecx, 0},
    {"sse4.1", 1, 0, ecx, 19},
    {"sse4.2", 1, 0, ecx, 20},
    {"sse4a", kExtended1, 0, ecx, 6},
    {"ssse3", 1, 0, ecx, 9},
    {"tbm", kExtended1, 0, ecx, 21},
    {"tsxldtrk", 7, 0, edx, 16},
    {"uintr", 7, 0, edx, 5},
    {"usermsr", 7, 1, edx, 15},
    {"vaes", 7, 0, ecx, 9, ymm},
    {"vpclmulqdq", 7, 0, ecx, 10, ymm},
    {"waitpkg", 7, 0, ecx, 5},
    {"wbnoinvd", kExtended8, 0, ebx, 9},
    {"widekl", 0x19, 0, ebx, 2},
    {"x87", 1, 0, edx, 0},
    {"xop", kExtended1, 0, ecx, 11, ymm},
    {"xsave", 1, 0, ecx, 27}, // OSXSAVE: the operating system has enabled it.
    {"xsavec", 0xd, 1, eax, 1},
    {"xsaveopt", 0xd, 1, eax, 0},
    {"xsaves", 0xd, 1, eax, 3},
    {"zu", 7, 1, edx, 21, apx},
};

using Registers = std::array<std::uint32_t, 4>;

/// Zeros if the processor does not have the leaf or subleaf.
Registers cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  Registers registers = {};
  if (__get_cpuid_max(leaf & 0x80000000, nullptr) < leaf)
    return registers;
  if (leaf == 7 && subleaf > 0) {
    __cpuid_count(7, 0, registers[eax], registers[ebx], registers[ecx], registers[edx]);
    if (registers[eax] < subleaf)
      return Registers{};
  }
  __cpuid_count(leaf, subleaf, registers[eax], registers[ebx], registers[ecx], registers[edx]);
  return registers;
}

/// The register states that the operating system saves.
std::uint32_t enabledStates() {
  constexpr std::uint32_t osxsave = 1u << 27;
  if (!(cpuid(1, 0)[ecx] & osxsave))
    return 0;
  std::uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

/// AVX10 has versions rather than one bit for each (Intel AVX10 architecture specification, "Enumeration").
std::uint32_t avx10Version() {
  constexpr std::uint32_t avx10 = 1u << 19;
  return cpuid(7, 1)[edx] & avx10 ? cpuid(0x24, 0)[ebx] & 0xff : 0;
}

} // namespace

FeatureSupport featureSupport(std::string_view feature) {
  auto support = [](bool present, State state) {
    return present && (enabledStates() & state) == state ? FeatureSupport::supported : FeatureSupport::missing;
  };
  if (feature == "avx10.1" || feature == "avx10.2")
    return support(avx10Version() >= (feature.back() == '1' ? 1u : 2u), zmm);
  const auto *found = std::find_if(std::begin(kFeatures), std::end(kFeatures),
                                   [&](const Feature &known) { return known.name == feature; });
  if (found == std::end(kFeatures))
    return FeatureSupport::unknown;
  return support(cpuid(found->leaf, found->subleaf)[found->reg] >> found->bit & 1, found->state);
}

std::string architectureLevel() {
  // "x86-64 psABI", table "Micro-Architecture Levels": what each adds to the one before.
  static constexpr std::pair<const char *, std::array<std::string_view, 9>> levels[] = {
      {"x86-64-v2", {"cx16", "sahf", "popcnt", "sse3", "sse4.1", "sse4.2", "ssse3"}},
      {"x86-64-v3", {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave"}},
      {"x86-64-v4", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}}};
  std::string level = "x86-64";
  for (const auto &[name, features] : levels) {
    for (std::string_view feature : features)
      if (!feature.empty() && featureSupport(feature) != FeatureSupport::supported)
        return level;
    level = name;
  }
  return level;
}

std::string processorName() {
  char name[49] = {};
  for (std::uint32_t i = 0; i < 3; ++i) {
    const Registers registers = cpuid(0x80000002 + i, 0);
    std::memcpy(name + 16 * i, registers.data(), 16);
  }
  std::string_view text = name;
  const auto first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');
  return first == std::string_view::npos ? "x86-64" : std::string(text.substr(first, last - first + 1));
}

#else // No x86-64: no x86 code can run here.

FeatureSupport featureSupport(std::string_view) { return FeatureSupport::unknown; }
std::string architectureLevel() { return ""; }
std::string processorName() { return "CPU"; }

#endif

} // namespace moe::drivers::cpu
