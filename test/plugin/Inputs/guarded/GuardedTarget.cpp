// A target of somebody else's: kernels are compiled as for the CPU, and run by a driver that watches what they touch.
#include "dialects/MoEExec/IR/MoEExecOps.h"
#include "passes/Target/Target.h"

#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

using namespace mlir;

namespace {
constexpr StringLiteral kName = "guarded", kCompiledAs = "cpu";

/// Gives the module's target another name, and the same architecture.
void renameTarget(ModuleOp module, StringRef name) {
  StringRef arch = module->getAttrOfType<StringAttr>(moe::kTargetAttrName).getValue().split(':').second;
  std::string spec = arch.empty() ? name.str() : (name + ":" + arch).str();
  module->setAttr(moe::kTargetAttrName, StringAttr::get(module.getContext(), spec));
}

/// In front of the CPU's passes, which ask the module what to compile for.
struct CompileAsCPUPass : PassWrapper<CompileAsCPUPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CompileAsCPUPass)
  void runOnOperation() override { renameTarget(getOperation(), kCompiledAs); }
};

/// Behind them: the code is for this target's driver.
struct ClaimObjectsPass : PassWrapper<ClaimObjectsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ClaimObjectsPass)
  void runOnOperation() override {
    renameTarget(getOperation(), kName);
    for (auto object : getOperation().getOps<moe_exec::ObjectOp>())
      object.setTarget(kName);
  }
};

class GuardedTarget : public moe::Target {
public:
  explicit GuardedTarget(std::unique_ptr<Target> cpu) : cpu(std::move(cpu)) {}

  StringRef getName() const override { return kName; }
  StringRef getArch() const override { return cpu->getArch(); }
  void getDependentDialects(DialectRegistry &registry) const override { cpu->getDependentDialects(registry); }
  LogicalResult configure(moe_kernel::KernelOp kernel) const override { return cpu->configure(kernel); }
  void addCodegenPasses(OpPassManager &passes, StringRef dumpTo) const override {
    passes.addPass(std::make_unique<CompileAsCPUPass>());
    cpu->addCodegenPasses(passes, dumpTo);
    passes.addPass(std::make_unique<ClaimObjectsPass>());
  }

private:
  std::unique_ptr<Target> cpu;
};

void registerGuardedTarget() {
  moe::registerTarget(
      kName, [](StringRef arch, function_ref<InFlightDiagnostic()> emitError) -> std::unique_ptr<moe::Target> {
        auto cpu = moe::createTarget(arch.empty() ? kCompiledAs.str() : (kCompiledAs + ":" + arch).str(), emitError);
        return cpu ? std::make_unique<GuardedTarget>(std::move(cpu)) : nullptr;
      });
}
} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "guarded-target", "0.1", registerGuardedTarget};
}
