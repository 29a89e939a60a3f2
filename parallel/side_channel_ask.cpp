#include "parallel/side_channel.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <list>

namespace tesserank::parallel {
namespace {

using Clock = std::chrono::steady_clock;

/// So many ranks are asked at once: each may take a connection for each of its addresses.
constexpr std::size_t most_peers_at_once = 64;

}  // namespace

/// A question to a rank on one of its addresses.
class SideChannel::Conversation {
  public:
    enum class Outcome : std::uint8_t { none_yet, answered, failed };

    Conversation(int peer, Address const& address, Request const& request)
        : peer_{peer}, request_{request} {
        auto const* const name = reinterpret_cast<sockaddr const*>(address.bytes.data());
        socket_ =
            Descriptor(::socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        bool const begun =
            socket_ && (::connect(socket_.get(), name, address.size) == 0 || errno == EINPROGRESS);
        if (!begun) socket_ = Descriptor();
    }

    int peer() const { return peer_; }
    bool is_open() const { return static_cast<bool>(socket_); }
    pollfd awaited() const {
        return {socket_.get(), static_cast<short>(asked_ ? POLLIN : POLLOUT), 0};
    }
    RankReport const& report() const { return report_; }

    /// When what was awaited has come.
    Outcome advance() { return asked_ ? receive() : send(); }

  private:
    Outcome send() {
        int error = 0;
        socklen_t size = sizeof(error);
        ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) return Outcome::failed;
        auto const sent = ::send(socket_.get(), &request_, sizeof(request_), MSG_NOSIGNAL);
        asked_ = sent == static_cast<ssize_t>(sizeof(request_));
        return asked_ ? Outcome::none_yet : Outcome::failed;
    }

    Outcome receive() {
        auto const left = std::as_writable_bytes(std::span(&report_, 1)).subspan(received_);
        auto const got = ::recv(socket_.get(), left.data(), left.size(), 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Outcome::none_yet;
        if (got <= 0) return Outcome::failed;
        received_ += static_cast<std::size_t>(got);
        if (received_ < sizeof(report_)) return Outcome::none_yet;
        return report_.rank == peer_ ? Outcome::answered : Outcome::failed;
    }

    int peer_;
    Request request_;
    Descriptor socket_;
    bool asked_ = false;
    std::size_t received_ = 0;
    RankReport report_;
};

std::vector<std::optional<RankReport>> SideChannel::ask(std::span<int const> peers,
                                                        Question question, double seconds) const {
    std::vector<std::optional<RankReport>> reports(endpoints_.size());
    while (!peers.empty()) {
        auto const some = peers.first(std::min(peers.size(), most_peers_at_once));
        converse(some, question, seconds, reports);
        peers = peers.subspan(some.size());
    }
    return reports;
}

void SideChannel::converse(std::span<int const> peers, Question question, double seconds,
                           std::vector<std::optional<RankReport>>& reports) const {
    auto const node_of = [&](int rank) { return nodes_[static_cast<std::size_t>(rank)]; };
    std::list<Conversation> open;
    for (auto const peer : peers) {
        auto const& endpoint = endpoints_[static_cast<std::size_t>(peer)];
        for (auto const& address : std::span(endpoint.addresses).first(endpoint.count)) {
            if (address.same_node_only && node_of(peer) != node_of(rank_)) continue;
            open.emplace_back(peer, address, Request{endpoint.secret, question});
        }
    }
    std::erase_if(open, [](Conversation const& one) { return !one.is_open(); });

    auto const end = Clock::now() + std::chrono::duration<double>(seconds);
    for (auto now = Clock::now(); !open.empty() && now < end; now = Clock::now()) {
        std::vector<pollfd> waits;
        for (auto const& conversation : open) waits.push_back(conversation.awaited());
        // From the time that was compared: less than nothing would mean to wait for ever.
        auto const left = std::chrono::ceil<std::chrono::milliseconds>(end - now);
        ::poll(waits.data(), waits.size(), static_cast<int>(left.count()));
        auto wait = waits.begin();
        for (auto at = open.begin(); at != open.end(); ++wait) {
            auto const outcome =
                wait->revents == 0 ? Conversation::Outcome::none_yet : at->advance();
            if (outcome == Conversation::Outcome::answered)
                reports[static_cast<std::size_t>(at->peer())] = at->report();
            at = outcome == Conversation::Outcome::none_yet ? std::next(at) : open.erase(at);
        }
        std::erase_if(open, [&](Conversation const& one) {
            return reports[static_cast<std::size_t>(one.peer())].has_value();
        });
    }
}

}  // namespace tesserank::parallel
