// A driver of somebody else's: the CPU, one thread, and every kernel under guard. For each launch the buffers move into
// pages of their own, each ending (up to its alignment) where a page begins that nobody may touch. So a kernel
//
//   - that reads or writes past the end of a buffer stops at once, with its name;
//   - that changes an operand it does not own, or leaves part of a result unwritten, is an error of the launch.
//
// Results are filled beforehand with a pattern that is a NaN, so that a kernel which reads them gives NaNs.
#include "moe/CpuKernel.h"
#include "moe/DriverPlugin.h"
#include "runtime/format/artifact_generated.h"

#include <csignal>
#include <cstring>
#include <dlfcn.h>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

namespace {

using moe::BufferView, moe::ErrorCode, moe::Result, moe::Status;

constexpr std::uint32_t kUnwritten = 0x7fb5a5a5; // A NaN that arithmetic does not make: its quiet bit is clear.

const char *runningKernel = nullptr;

void reportAccess(int) {
  const char *parts[] = {"guarded: kernel '", runningKernel ? runningKernel : "?", "' reaches outside its buffers\n"};
  for (const char *part : parts)
    (void)!::write(STDERR_FILENO, part, std::strlen(part));
  ::_exit(static_cast<int>(ErrorCode::failed));
}

class HostMemory final : public moe::DeviceMemory {
public:
  static constexpr std::align_val_t kAlignment{256};
  HostMemory(void *address, std::size_t bytes) : address(static_cast<std::byte *>(address)), bytes(bytes) {}
  ~HostMemory() override { ::operator delete(address, kAlignment); }
  std::size_t size() const override { return bytes; }
  std::byte *const address;

private:
  std::size_t bytes;
};

std::byte *addressOf(const BufferView &view) { return static_cast<HostMemory *>(view.memory)->address + view.offset; }

/// Pages for a buffer, with the forbidden one behind them.
class Guarded {
public:
  explicit Guarded(std::size_t bytes) : bytes(bytes) {
    const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t aligned = (bytes + moe::kCpuBufferAlignment - 1) / moe::kCpuBufferAlignment *
                                static_cast<std::size_t>(moe::kCpuBufferAlignment);
    const std::size_t usable = (aligned + page - 1) / page * page;
    mapped = usable + page;
    void *pages = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || ::mprotect(static_cast<std::byte *>(pages) + usable, page, PROT_NONE) != 0)
      return;
    base = pages;
    data = static_cast<std::byte *>(pages) + usable - aligned;
  }
  Guarded(Guarded &&other) noexcept
      : data(std::exchange(other.data, nullptr)), bytes(other.bytes), base(std::exchange(other.base, nullptr)),
        mapped(other.mapped) {}
  ~Guarded() {
    if (base)
      ::munmap(base, mapped);
  }

  bool keepsPattern() const {
    for (std::size_t i = 0; i + sizeof(kUnwritten) <= bytes; i += sizeof(kUnwritten))
      if (std::memcmp(data + i, &kUnwritten, sizeof(kUnwritten)) == 0)
        return true;
    return false;
  }
  void fillPattern() {
    for (std::size_t i = 0; i + sizeof(kUnwritten) <= bytes; i += sizeof(kUnwritten))
      std::memcpy(data + i, &kUnwritten, sizeof(kUnwritten));
  }

  std::byte *data = nullptr; ///< Null if there is no memory.
  const std::size_t bytes;

private:
  void *base = nullptr;
  std::size_t mapped = 0;
};

class GuardedKernel final : public moe::LoadedKernel {
public:
  GuardedKernel(moe::CpuKernel function, const moe::format::Kernel &table)
      : function(function), name(table.name()->str()), items(table.grid()->x()), numOperands(table.num_operands()),
        scratchBytes(table.scratch_bytes()) {}
  const moe::CpuKernel function;
  const std::string name;
  const std::int64_t items;
  const std::size_t numOperands, scratchBytes;
};

class GuardedDriver final : public moe::Driver {
public:
  std::string_view name() const override { return "guarded"; }
  std::string description() const override { return "the CPU under guard, one thread"; }

  Result<std::unique_ptr<moe::DeviceMemory>> allocate(std::size_t bytes) override {
    void *address = ::operator new(bytes, HostMemory::kAlignment, std::nothrow);
    if (!address)
      return Status(ErrorCode::doesNotFit, "cannot allocate " + std::to_string(bytes) + " bytes");
    return std::unique_ptr<moe::DeviceMemory>(std::make_unique<HostMemory>(address, bytes));
  }
  Status fill(BufferView destination, std::uint8_t value) override {
    std::memset(addressOf(destination), value, destination.size);
    return {};
  }
  Status copy(BufferView source, BufferView destination) override {
    std::memcpy(addressOf(destination), addressOf(source), source.size);
    return {};
  }
  Status write(std::span<const std::byte> source, BufferView destination) override {
    if (!source.empty())
      std::memcpy(addressOf(destination), source.data(), source.size());
    return {};
  }
  Status read(BufferView source, std::span<std::byte> destination) override {
    if (!destination.empty())
      std::memcpy(destination.data(), addressOf(source), source.size);
    return {};
  }

  Result<std::vector<std::unique_ptr<moe::LoadedKernel>>>
  load(const moe::format::Artifact &artifact, std::span<const std::span<const std::byte>> blobs) override;
  Status launch(moe::LoadedKernel &kernel, std::span<const BufferView> buffers) override;
  Status synchronize() override { return {}; }
};

/// The loader wants a file: one in memory, which stays as long as the process.
Result<void *> loadObject(std::span<const std::byte> bytes) {
  const int file = ::memfd_create("guarded-kernels", 0);
  if (file < 0 || ::write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    return Status(ErrorCode::failed, "cannot hold object code in memory");
  void *object = ::dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!object)
    return Status(ErrorCode::corruptFile, ::dlerror());
  return object;
}

Result<std::vector<std::unique_ptr<moe::LoadedKernel>>>
GuardedDriver::load(const moe::format::Artifact &artifact, std::span<const std::span<const std::byte>> blobs) {
  if (artifact.target()->name()->str() != name())
    return Status(ErrorCode::unsupportedModel,
                  "compiled for '" + artifact.target()->name()->str() + "', not for 'guarded'");
  std::vector<void *> objects;
  for (std::span<const std::byte> blob : blobs) {
    auto object = loadObject(blob);
    if (!object)
      return object.status();
    objects.push_back(*object);
  }
  std::vector<std::unique_ptr<moe::LoadedKernel>> kernels;
  for (const moe::format::Kernel *table : *artifact.kernels()) {
    void *function = ::dlsym(objects[table->blob()], table->name()->c_str());
    if (!function)
      return Status(ErrorCode::corruptFile, "there is no code of kernel '" + table->name()->str() + "'");
    kernels.push_back(std::make_unique<GuardedKernel>(reinterpret_cast<moe::CpuKernel>(function), *table));
  }
  return kernels;
}

Status GuardedDriver::launch(moe::LoadedKernel &loaded, std::span<const BufferView> buffers) {
  const auto &kernel = static_cast<const GuardedKernel &>(loaded);
  // One copy per buffer; a result computed in place has its operand's.
  std::vector<Guarded> copies;
  std::vector<void *> pointers;
  std::vector<bool> isOperand, isResult;
  std::vector<std::size_t> first; // Of each copy, its buffer.
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    std::size_t copy = 0;
    while (copy < copies.size() && (addressOf(buffers[first[copy]]) != addressOf(buffers[i]) ||
                                    buffers[first[copy]].size != buffers[i].size))
      ++copy;
    if (copy == copies.size()) {
      copies.emplace_back(buffers[i].size);
      if (!copies.back().data)
        return Status(ErrorCode::doesNotFit, "no memory to guard " + std::to_string(buffers[i].size) + " bytes");
      first.push_back(i);
      isOperand.push_back(false);
      isResult.push_back(false);
    }
    (i < kernel.numOperands ? isOperand : isResult)[copy] = true;
    pointers.push_back(copies[copy].data);
  }
  for (std::size_t i = 0; i < copies.size(); ++i)
    if (isOperand[i])
      std::memcpy(copies[i].data, addressOf(buffers[first[i]]), copies[i].bytes);
    else
      copies[i].fillPattern();

  Guarded scratch(kernel.scratchBytes);
  runningKernel = kernel.name.c_str();
  kernel.function(pointers.data(), 0, kernel.items, scratch.data);
  runningKernel = nullptr;

  for (std::size_t i = 0; i < copies.size(); ++i) {
    std::byte *original = addressOf(buffers[first[i]]);
    if (!isResult[i]) {
      if (std::memcmp(copies[i].data, original, copies[i].bytes) != 0)
        return Status(ErrorCode::failed, "kernel '" + kernel.name + "' changes operand " + std::to_string(first[i]));
      continue;
    }
    if (!isOperand[i] && copies[i].keepsPattern())
      return Status(ErrorCode::failed, "kernel '" + kernel.name + "' leaves a part of result " +
                                           std::to_string(first[i] - kernel.numOperands) + " unwritten");
    std::memcpy(original, copies[i].data, copies[i].bytes);
  }
  return {};
}

Result<std::unique_ptr<moe::Driver>> open(const moe::DriverOptions &options) {
  if (options.device != 0)
    return Status(ErrorCode::configuration, "there is only device 0");
  std::signal(SIGSEGV, reportAccess);
  return std::unique_ptr<moe::Driver>(std::make_unique<GuardedDriver>());
}

} // namespace

extern "C" moe::DriverPlugin moeGetDriverPlugin() { return {moe::kDriverPluginVersion, "guarded", open}; }
