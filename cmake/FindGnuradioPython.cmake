# SPDX-License-Identifier: GPL-3.0-or-later
# Finds a Python that can import GNU Radio and sets PYTHON_EXECUTABLE, GNURADIO_VERSION, GR_PYTHON_DIR and, where the
# user gave none, CMAKE_INSTALL_PREFIX. It asks the Python instead of find_package(Gnuradio), which wants Boost,
# Volk and a C++ compiler for code that this module does not have.
set(GNURADIO_MINIMUM 3.10.5)
set(PROBE ${CMAKE_CURRENT_LIST_DIR}/probe.py)

function(probe_python python prefix)
    execute_process(
        COMMAND ${python} ${PROBE} ${prefix}
        OUTPUT_VARIABLE answer ERROR_VARIABLE complaint RESULT_VARIABLE code)
    set(PROBE_CODE ${code} PARENT_SCOPE)
    set(PROBE_ANSWER "${answer}" PARENT_SCOPE)
    set(PROBE_COMPLAINT "${complaint}" PARENT_SCOPE)
endfunction()

set(prefix_wanted ${CMAKE_INSTALL_PREFIX})
if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
    set(prefix_wanted)
endif()

# /usr/bin/python3 second: a Python that stands before it on PATH seldom has the distribution's GNU Radio.
set(candidates ${PYTHON_EXECUTABLE})
if(NOT candidates)
    set(candidates python3 /usr/bin/python3)
endif()
foreach(candidate IN LISTS candidates)
    probe_python(${candidate} "${prefix_wanted}")
    if(PROBE_CODE EQUAL 0)
        find_program(found_python ${candidate} NO_CACHE)
        set(PYTHON_EXECUTABLE ${found_python} CACHE FILEPATH "the Python to install for" FORCE)
        break()
    endif()
endforeach()
if(NOT PROBE_CODE EQUAL 0)
    message(FATAL_ERROR "No Python that can import GNU Radio: tried ${candidates}.\n"
        "Install GNU Radio (Debian, Ubuntu: apt install gnuradio) or name its Python with -DPYTHON_EXECUTABLE=FILE; "
        "if numpy 2 broke it, pip install 'numpy<2'. The last answer was:\n${PROBE_COMPLAINT}")
endif()

list(GET PROBE_ANSWER 0 GNURADIO_VERSION)
list(GET PROBE_ANSWER 1 prefix_found)
list(GET PROBE_ANSWER 2 python_dir)
if(GNURADIO_VERSION VERSION_LESS GNURADIO_MINIMUM)
    message(FATAL_ERROR "GNU Radio ${GNURADIO_VERSION} is too old: ${GNURADIO_MINIMUM} or newer is needed")
endif()
if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
    set(CMAKE_INSTALL_PREFIX ${prefix_found} CACHE PATH "where to install" FORCE)
endif()
if(NOT DEFINED GR_PYTHON_DIR)
    set(GR_PYTHON_DIR ${python_dir})
endif()
