# LLVM/MLIR and how this project builds dialects, passes and compiler libraries with them.
find_package(MLIR 22.1 REQUIRED CONFIG)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

include_directories(SYSTEM ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})

# One precompiled header for every compiler library.
add_library(MoECompilerPCH OBJECT ${PROJECT_SOURCE_DIR}/tools/cmake/MoECompilerPCH.cpp)
target_compile_options(MoECompilerPCH PRIVATE -fno-rtti -fno-exceptions)
target_precompile_headers(MoECompilerPCH PRIVATE ${PROJECT_SOURCE_DIR}/tools/cmake/MoECompilerPCH.h)

# moe_compiler_target(<target>): flags for code that includes MLIR headers.
function(moe_compiler_target target)
  target_compile_options(${target} PRIVATE -fno-rtti -fno-exceptions)
endfunction()

# moe_add_compiler_library(<name> <sources>... [DEPENDS <targets>...] [LINK <libraries>...])
function(moe_add_compiler_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  moe_compiler_target(${name})
  target_precompile_headers(${name} REUSE_FROM MoECompilerPCH)
  target_link_libraries(${name} PUBLIC ${ARG_LINK} MLIR LLVM)
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

# moe_add_compiler_test(<name> <sources>... [LINK <libraries>...]): a GoogleTest binary that includes MLIR headers. Its
# objects are compiled like a library's, so that they share the precompiled header.
function(moe_add_compiler_test name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(${name}Objects OBJECT ${ARG_UNPARSED_ARGUMENTS})
  moe_compiler_target(${name}Objects)
  target_precompile_headers(${name}Objects REUSE_FROM MoECompilerPCH)
  target_compile_definitions(${name}Objects PRIVATE MOE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name}Objects PUBLIC ${ARG_LINK} GTest::gtest_main)
  add_executable(${name})
  target_link_libraries(${name} PRIVATE ${name}Objects)
endfunction()

# moe_tablegen(<target> <file.td> <-gen-flag> <output> ...): generated files of one .td as one target.
function(moe_tablegen target td)
  set(LLVM_TARGET_DEFINITIONS ${td})
  set(rest ${ARGN})
  while(rest)
    list(POP_FRONT rest output)
    set(flags)
    while(rest)
      list(GET rest 0 next)
      if(NOT next MATCHES "^-")
        break()
      endif()
      list(APPEND flags ${next})
      list(POP_FRONT rest)
    endwhile()
    mlir_tablegen(${output} ${flags})
  endwhile()
  add_public_tablegen_target(${target})
endfunction()

# moe_add_doc(<file.td> <output> <-gen-flags>...): a page generated from TableGen, build/docs/<output>.md.
# `ninja moe-doc` makes all of them; so does the default build.
set(MLIR_BINARY_DIR ${PROJECT_BINARY_DIR})
add_custom_target(moe-doc ALL)
add_dependencies(moe-doc mlir-doc)
function(moe_add_doc td output)
  get_filename_component(name ${td} NAME_WE)
  add_mlir_doc(${name} ${output} ./ ${ARGN})
endfunction()
