// What a profiler injects, at its smallest: prints each range that a program pushes. NVTX loads it when
// NVTX_INJECTION64_PATH names it.
#include <nvtx3/nvToolsExt.h>

#include <stdio.h>

static int depth = 0;

static int push(const char *name) {
  fprintf(stderr, "range %d: %s\n", depth, name);
  return depth++;
}
static int pop(void) { return --depth; }

__attribute__((visibility("default"))) int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t getExportTable) {
  const NvtxExportTableCallbacks *callbacks = getExportTable(NVTX_ETID_CALLBACKS);
  NvtxFunctionTable table = NULL;
  unsigned size = 0;
  if (!callbacks || !callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &table, &size) ||
      size <= NVTX_CBID_CORE_RangePop)
    return 0;
  *table[NVTX_CBID_CORE_RangePushA] = (NvtxFunctionPointer)push;
  *table[NVTX_CBID_CORE_RangePop] = (NvtxFunctionPointer)pop;
  return 1;
}
