// A pass of somebody else's, built against the installed headers: says what each expert matmul costs.
#include "dialects/MoE/IR/MoEOps.h"

#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"

using namespace mlir;

namespace {
struct ReportExpertsPass : PassWrapper<ReportExpertsPass, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ReportExpertsPass)

  StringRef getArgument() const override { return "report-experts"; }
  StringRef getDescription() const override { return "Report the floating-point operations of expert matmuls"; }

  void runOnOperation() override {
    getOperation().walk([](moe::GroupedMatmulOp matmul) {
      if (matmul.getRagged() != moe::RaggedDim::rows)
        return;
      auto lhs = cast<RankedTensorType>(matmul.getLhs().getType());
      auto result = cast<RankedTensorType>(matmul.getResult().getType());
      int64_t flops = 2 * lhs.getDimSize(0) * lhs.getDimSize(1) * result.getDimSize(1);
      matmul.emitRemark() << "expert matmul of " << flops << " floating-point operations";
    });
  }
};
} // namespace

extern "C" LLVM_ATTRIBUTE_WEAK PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "report-experts", "0.1", [] { PassRegistration<ReportExpertsPass>(); }};
}
