# Flags of every target. Include path = repository path; generated files come from the same path under the build tree.
include_directories(${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include
                    ${PROJECT_BINARY_DIR} ${PROJECT_BINARY_DIR}/include)
add_compile_options(-Wall -Wextra -Wno-unused-parameter -Werror=return-type -Werror=unused-result)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  # Lets ccache share precompiled headers between build trees.
  add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
endif()
foreach(sanitizer IN LISTS MOE_SANITIZE)
  add_compile_options(-fsanitize=${sanitizer} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${sanitizer})
endforeach()
