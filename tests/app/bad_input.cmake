# Every kind of bad input and of bad usage, through the program, on three ranks.
foreach(case IN ITEMS
    truncated_safetensors header_longer_than_file overlapping_tensors unknown_dtype
    wrong_shape missing_tensor unaccounted_tensor unknown_config_key
    corrupted_byte newer_format truncated_model not_a_model missing_model
    missing_input unknown_option output_directory_missing logits_directory_missing disk_full disk_full_in_convert
    invalid_utf8 token_out_of_range empty_prompt prompt_too_long bad_json duplicate_ids)
  program_test(app/bad_input/${case}@3 LABEL mpi SCRIPT bad_input.py
               ARGUMENTS --golden ${PROJECT_SOURCE_DIR}/tests/golden --ranks 3 --mpiexec ${MPIEXEC_EXECUTABLE} ${case})
endforeach()
foreach(case IN ITEMS
    length_beyond_context batch_beyond_memory too_many_new_tokens output_is_input logits_disk_full input_from_pipe
    convert_under_mpirun inspect_under_mpirun output_through_link launcher_of_another_mpi)
  program_test(app/bad_usage/${case}@3 LABEL mpi SCRIPT bad_usage.py
               ARGUMENTS --golden ${PROJECT_SOURCE_DIR}/tests/golden --ranks 3 --mpiexec ${MPIEXEC_EXECUTABLE} ${case})
endforeach()
foreach(case IN ITEMS files urls limits prompts)
  program_test(app/bad_pictures/${case}@3 LABEL mpi SCRIPT bad_pictures.py
               ARGUMENTS --golden ${PROJECT_SOURCE_DIR}/tests/golden --ranks 3 --mpiexec ${MPIEXEC_EXECUTABLE} ${case})
endforeach()
