# For the job scripts here: runs a command as a step of the job, and puts the job back into the queue
# when the command was stopped before its end, to go on where it stopped.
#
#   run_and_requeue COMMAND...
#
# The batch script has to ask for the signal (#SBATCH --signal=B:USR1@60) and to allow requeuing
# (#SBATCH --requeue). With LAUNCHER=mpirun the step is started by mpirun instead of srun.

readonly stopped_status=5 # of tesserank: stopped by a signal or the end of the job's time

# A task of an array has a number that may mean the whole array, too.
job=$SLURM_JOB_ID
if [[ -n ${SLURM_ARRAY_JOB_ID:-} ]]; then job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi

job_fact() { scontrol show job --oneliner "$job" | sed -n "s/.* $1=\([^ ]*\).*/\1/p"; }

# The job's own end, where Slurm does not say it to the batch script (before 23.02).
export_job_end() {
    if [[ -n ${SLURM_JOB_END_TIME:-} ]]; then return; fi
    local end
    end=$(job_fact EndTime)
    if [[ $end == [0-9]* ]]; then export SLURM_JOB_END_TIME; SLURM_JOB_END_TIME=$(date --date="$end" +%s); fi
}

# bytes_of_journal COMMAND...: how far a run has come; 0 where it has no output.
bytes_of_journal() {
    while [[ $# -gt 1 ]]; do
        if [[ $1 == --output || $1 == -o ]]; then
            stat --format=%s "$2.journal" 2>/dev/null || echo 0
            return
        fi
        shift
    done
    echo 0
}

run_and_requeue() {
    local launch step status before words=("$@") i
    if [[ ${LAUNCHER:-srun} == mpirun ]]; then
        launch=(mpirun --bind-to none)
    else
        # pmix is what Open MPI 4 and 5 speak; `srun --mpi=list` shows what this Slurm offers. Ranks that outlive one
        # that was killed are ended after some seconds.
        launch=(srun --mpi=pmix --wait=10 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}")
    fi
    if [[ ${SLURM_RESTART_COUNT:-0} -gt 0 ]]; then
        # To start anew is meant for the first time.
        for ((i = 1; i < ${#words[@]}; ++i)); do
            if [[ ${words[i - 1]} == --resume && ${words[i]} == no ]]; then words[i]=auto; fi
        done
    fi
    export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1} OMP_PROC_BIND=false
    export_job_end
    before=$(bytes_of_journal "$@")
    "${launch[@]}" "${words[@]}" &
    step=$!
    # Both pass SIGUSR1 on to the ranks; SIGTERM reaches them without this script. A trap ends `wait`, so that it has
    # to be asked again, last when the step is gone.
    trap 'kill -USR1 "$step" 2>/dev/null || :' USR1
    trap : TERM
    while kill -0 "$step" 2>/dev/null; do wait "$step" || :; done
    wait "$step" && status=0 || status=$?
    trap '' USR1 TERM
    # A job that was cancelled, or that Slurm itself puts back into the queue, is none of ours.
    if [[ $status -ne $stopped_status || $(job_fact JobState) != RUNNING ]]; then return "$status"; fi
    if [[ $(bytes_of_journal "$@") -le $before ]]; then
        echo "stopped before any batch was done: give the job more time, or the run a smaller --batch" >&2
        return "$status"
    fi
    echo "stopped in time; going on in the next run of job $job" >&2
    scontrol requeue "$job"
}
