#pragma once

#include "parallel/mpi_communicator.hpp"
#include "parallel/rank_report.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace tesserank::parallel {

/// An open file descriptor, closed once.
class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int value) : value_{value} {}
    Descriptor(Descriptor&& other) noexcept : value_{std::exchange(other.value_, -1)} {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(value_, other.value_);
        return *this;
    }
    ~Descriptor();

    int get() const { return value_; }
    explicit operator bool() const { return value_ >= 0; }

  private:
    int value_ = -1;
};

/// By what ranks ask each other what they are doing while MPI says nothing: plain TCP, on whatever
/// network of a host lets the question through. A thread of its own answers, whatever the rest of
/// the process does; only a rank that is stopped, dead or out of reach does not. Private to this
/// folder.
class SideChannel {
  public:
    enum class Question : std::uint32_t {
        report,  ///< what are you doing?
        alarm,   ///< the same, and see to it that somebody looks at all ranks
    };
    using Answer = std::function<RankReport(Question)>;

    /// `answer` is called on another thread, until this dies. Collective.
    /// Errors: SystemError, on all ranks, when one cannot listen.
    SideChannel(MpiCommunicator& ranks, Answer answer);
    ~SideChannel();
    SideChannel(SideChannel const&) = delete;
    SideChannel& operator=(SideChannel const&) = delete;

    /// Asks all these ranks at once. By rank of the job: nullopt for those that have not answered
    /// when the time is up, and for those that were not asked.
    std::vector<std::optional<RankReport>> ask(std::span<int const> peers, Question question,
                                               double seconds) const;
    std::vector<HostName> hosts() const;

  private:
    static constexpr std::size_t most_addresses = 8;

    /// Of IPv4 or IPv6, with its port.
    struct Address {
        socklen_t size = 0;
        alignas(sockaddr_in6) std::array<std::byte, sizeof(sockaddr_in6)> bytes{};
        bool same_node_only = false;  ///< a loopback one
    };
    /// Where a rank answers. Travels as bytes.
    struct Endpoint {
        HostName host;
        std::uint64_t secret = 0;  ///< a stranger does not know it, and gets no answer
        std::size_t count = 0;
        std::array<Address, most_addresses> addresses;
    };
    /// What who asks sends.
    struct Request {
        std::uint64_t secret = 0;
        Question question = Question::report;
    };
    class Conversation;

    void listen();
    Endpoint endpoint() const;
    void answer_all(std::stop_token const& stop) const;
    void answer_one(Descriptor const& connection) const;
    void converse(std::span<int const> peers, Question question, double seconds,
                  std::vector<std::optional<RankReport>>& reports) const;

    int rank_;
    Answer answer_;
    Descriptor listener_;
    Descriptor wake_;                  ///< readable when the thread is to end
    std::vector<Endpoint> endpoints_;  ///< by rank
    std::vector<int> nodes_;
    std::jthread thread_;  ///< last: it uses the others
};

}  // namespace tesserank::parallel
