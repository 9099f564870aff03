//===- CeilingMeter.h - What a device reaches, and for how long --*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// A GPU that multiplies for more than some ten milliseconds reaches the limit of its power and lowers its clock: on one
/// H100 cuBLAS makes 788 TFLOP/s of its first 14 ms, 725 after 60 ms, and less after half a second. So what takes long
/// is compared with products that take as long.
///
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_BENCH_CEILINGMETER_H
#define LIB_ENGINE_BENCH_CEILINGMETER_H

#include "lib/Engine/Bench/DeviceTimer.h"
#include "lib/Engine/Bench/LayerFloor.h"
#include "lib/Engine/Bench/LayerFolder.h"

#include <map>

namespace moe::engine {

class CeilingMeter {
public:
  /// Measures one product and one copy. ErrorCode::failed if `folder` has no product of that type.
  static Result<CeilingMeter> create(const LayerFolder &folder, const std::string &dtype, const DriverOptions &options);

  /// Rows and columns of the product.
  std::int64_t getSize() const { return size; }
  /// Of one product alone.
  const Ceilings &getCeilings() const { return ceilings; }
  /// Of as many products, one after the other, as fit into `seconds`, at least one.
  Result<Ceilings> lasting(double seconds);

private:
  explicit CeilingMeter(std::unique_ptr<Session> session) : session(std::move(session)) {}

  Result<double> measureProducts(int count);

  std::unique_ptr<Session> session;
  std::int64_t size = 0;
  Ceilings ceilings;
  std::map<int, double> flopsPerSecond; ///< Of so many products.
};

} // namespace moe::engine

#endif // LIB_ENGINE_BENCH_CEILINGMETER_H
