# What a stranger builds against: `cmake --install build --prefix P`, then find_package(MoE) with CMAKE_PREFIX_PATH=P.
include(CMakePackageConfigHelpers)

install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/moe DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# What a driver reads of an artifact.
install(DIRECTORY ${PROJECT_BINARY_DIR}/runtime/format DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/moe-mlir/runtime
        FILES_MATCHING PATTERN "*.h" PATTERN CMakeFiles EXCLUDE)
if(MOE_BUILD_COMPILER)
  # Include path = repository path, below include/moe-mlir.
  foreach(folder dialects passes)
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} ${PROJECT_BINARY_DIR}/${folder}
            DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/moe-mlir
            FILES_MATCHING PATTERN "*.h" PATTERN "*.td" PATTERN "*.inc" PATTERN CMakeFiles EXCLUDE)
  endforeach()
  install(TARGETS moe-opt)
endif()

configure_package_config_file(${PROJECT_SOURCE_DIR}/tools/cmake/MoEConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/MoEConfig.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/MoE
                              PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/MoEConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/MoEConfig.cmake ${PROJECT_BINARY_DIR}/MoEConfigVersion.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/MoE)
