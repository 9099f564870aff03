//===- Table.h - Text in columns --------------------------------*- C++ -*-===//
//
// Part of the moe-mlir project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef LIB_ENGINE_REPORT_TABLE_H
#define LIB_ENGINE_REPORT_TABLE_H

#include <string>
#include <string_view>
#include <vector>

namespace moe::engine {

/// Rows of cells, each column as wide as its widest cell. `alignment` has an 'l' or 'r' for each column. A header of
/// empty cells is not printed.
class Table {
public:
  Table(std::vector<std::string> header, std::string_view alignment, std::size_t indent = 2)
      : rows{std::move(header)}, alignment(alignment), indent(indent) {}

  void add(std::vector<std::string> row) { rows.push_back(std::move(row)); }
  std::string text() const;

private:
  std::vector<std::vector<std::string>> rows;
  std::string alignment;
  std::size_t indent;
};

} // namespace moe::engine

#endif // LIB_ENGINE_REPORT_TABLE_H
