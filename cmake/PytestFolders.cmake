# SPDX-License-Identifier: GPL-3.0-or-later
# One CTest test for each folder of tests/ that has test files. They see the source tree, also as gnuradio.soundspring:
# the folder test_modules/gnuradio (no __init__.py: GNU Radio extends its path over it) holds a link to the package.
set(TEST_MODULES ${PROJECT_BINARY_DIR}/test_modules)
file(MAKE_DIRECTORY ${TEST_MODULES}/gnuradio)
file(CREATE_LINK ${PROJECT_SOURCE_DIR}/python/soundspring ${TEST_MODULES}/gnuradio/soundspring SYMBOLIC)

file(GLOB test_files RELATIVE ${PROJECT_SOURCE_DIR}/tests CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/tests/*/test_*.py ${PROJECT_SOURCE_DIR}/tests/*/qa_*.py)
set(test_folders)
foreach(file IN LISTS test_files)
    get_filename_component(folder ${file} DIRECTORY)
    list(APPEND test_folders ${folder})
endforeach()
list(REMOVE_DUPLICATES test_folders)

foreach(folder IN LISTS test_folders)
    add_test(NAME ${folder} COMMAND ${PYTHON_EXECUTABLE} -m pytest tests/${folder}
        WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${folder} PROPERTIES TIMEOUT 900 ENVIRONMENT
        "PYTHONPATH=${TEST_MODULES}:$ENV{PYTHONPATH};GRC_BLOCKS_PATH=${PROJECT_SOURCE_DIR}/grc;OMP_NUM_THREADS=1;QT_QPA_PLATFORM=offscreen")
endforeach()
