# cmake -DLAUNCHER=... -DPROGRAM=... -P abort_test.cmake: one rank's error ends the whole job, promptly, with exit
# status 4 and its message printed once.
execute_process(COMMAND ${LAUNCHER} ${PROGRAM} RESULT_VARIABLE status ERROR_VARIABLE errors OUTPUT_VARIABLE output
                TIMEOUT 15)
if(NOT status EQUAL 4)
  message(FATAL_ERROR "exit status ${status}, not 4:\n${output}${errors}")
endif()
string(REGEX MATCHALL "rank 2: this rank gives up" messages "${errors}")
list(LENGTH messages count)
if(NOT count EQUAL 1)
  message(FATAL_ERROR "the message was printed ${count} times:\n${errors}")
endif()
