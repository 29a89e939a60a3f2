#pragma once

#include <mpi.h>

#include <list>
#include <optional>
#include <string>
#include <vector>

namespace tesserank::parallel {

class Communicator;

/// Short texts that ranks tell each other outside of the collectives, and that nobody has to wait
/// for: how a rank learns over MPI what another one knows while NCCL says nothing. Owns a private
/// duplicate of the world. Private to this folder.
class Notices {
  public:
    /// Collective over all ranks of the job, which `world` are: a call of theirs like any other.
    explicit Notices(Communicator const& world);
    ~Notices();
    Notices(Notices const&) = delete;
    Notices& operator=(Notices const&) = delete;

    /// Sends `text` to all other ranks.
    void post(std::string const& text);
    /// The oldest notice of each rank that has not been cleared; takes in what has arrived.
    std::vector<std::optional<std::string>> const& poll();
    /// Polls until every other rank has posted, or the seconds have passed.
    std::vector<std::optional<std::string>> const& collect(double seconds);
    /// Forgets the notices of all ranks, so that their next ones are seen.
    void clear();

  private:
    struct Sent {
        std::string text;
        std::vector<MPI_Request> requests;
    };

    int rank_ = 0;
    MPI_Comm comm_ = MPI_COMM_NULL;
    std::list<Sent> sent_;  ///< MPI may read the texts until the requests are done
    std::vector<std::optional<std::string>> received_;
};

}  // namespace tesserank::parallel
