#include "parallel/side_channel.hpp"

#include "kernels/error.hpp"
#include "parallel/agree.hpp"

#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <random>
#include <string>

namespace tesserank::parallel {
namespace {

/// How long one who asks may keep the thread that answers.
constexpr timeval patience{.tv_sec = 1, .tv_usec = 0};
constexpr int waiting_connections = 64;

Descriptor checked(int descriptor, char const* call) {
    if (descriptor >= 0) return Descriptor(descriptor);
    throw kernels::SystemError(std::string("the watchdog cannot listen: ") + call + ": " +
                               std::strerror(errno));
}

/// For IPv6 and IPv4 alike, or for IPv4 where there is no other.
Descriptor open_listener() {
    Descriptor both(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int const off = 0;
    if (both && ::setsockopt(both.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0) {
        sockaddr_in6 any{};
        any.sin6_family = AF_INET6;
        auto const* const address = reinterpret_cast<sockaddr const*>(&any);
        if (::bind(both.get(), address, sizeof(any)) == 0) return both;
    }
    auto one = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    sockaddr_in any{};
    any.sin_family = AF_INET;
    checked(::bind(one.get(), reinterpret_cast<sockaddr const*>(&any), sizeof(any)) == 0
                ? ::dup(one.get())
                : -1,
            "bind");
    return one;
}

struct Bound {
    sa_family_t family = AF_UNSPEC;
    in_port_t port = 0;  ///< in network order, at the same place in both families
};

Bound bound_to(Descriptor const& listener) {
    sockaddr_in6 name{};
    socklen_t size = sizeof(name);
    if (::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&name), &size) != 0)
        throw kernels::SystemError(std::string("getsockname: ") + std::strerror(errno));
    return {name.sin6_family, name.sin6_port};
}

/// Whether another rank may try this address of ours.
bool is_reachable(ifaddrs const& interface, sa_family_t listening) {
    if (interface.ifa_addr == nullptr || (interface.ifa_flags & IFF_UP) == 0) return false;
    auto const family = interface.ifa_addr->sa_family;
    if (family == AF_INET) return true;
    if (family != AF_INET6 || listening != AF_INET6) return false;
    // Link-local addresses mean something on one link only.
    auto const* const address = reinterpret_cast<sockaddr_in6 const*>(interface.ifa_addr);
    return !IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr);
}

}  // namespace

Descriptor::~Descriptor() {
    if (value_ >= 0) ::close(value_);
}

SideChannel::SideChannel(MpiCommunicator& ranks, Answer answer)
    : rank_{ranks.rank()},
      answer_{std::move(answer)},
      endpoints_(static_cast<std::size_t>(ranks.size())),
      nodes_{ranks.nodes()} {
    Endpoint mine;
    agree(ranks, [&] {
        listen();
        mine = endpoint();
    });
    std::vector<std::size_t> const bytes(endpoints_.size(), sizeof(Endpoint));
    ranks.all_gather(std::as_bytes(std::span(&mine, 1)), bytes,
                     std::as_writable_bytes(std::span(endpoints_)));
    thread_ = std::jthread([this](std::stop_token const& stop) { answer_all(stop); });
}

SideChannel::~SideChannel() {
    thread_.request_stop();
    ::eventfd_write(wake_.get(), 1);
}

void SideChannel::listen() {
    listener_ = open_listener();
    wake_ = checked(::eventfd(0, EFD_CLOEXEC), "eventfd");
    if (::listen(listener_.get(), waiting_connections) != 0) checked(-1, "listen");
}

SideChannel::Endpoint SideChannel::endpoint() const {
    Endpoint mine;
    mine.host = host_name();
    std::random_device random;
    mine.secret = (std::uint64_t{random()} << 32U) | random();
    auto const bound = bound_to(listener_);
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) checked(-1, "getifaddrs");
    std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> const owner(list, &::freeifaddrs);
    for (auto const* at = list; at != nullptr && mine.count < most_addresses; at = at->ifa_next) {
        if (!is_reachable(*at, bound.family)) continue;
        bool const is_ipv6 = at->ifa_addr->sa_family == AF_INET6;
        sockaddr_in6 name{};
        auto& address = mine.addresses[mine.count++];
        address.size = is_ipv6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
        std::memcpy(&name, at->ifa_addr, address.size);
        name.sin6_port = bound.port;
        std::memcpy(address.bytes.data(), &name, address.size);
        address.same_node_only = (at->ifa_flags & IFF_LOOPBACK) != 0;
    }
    return mine;
}

std::vector<HostName> SideChannel::hosts() const {
    std::vector<HostName> names;
    names.reserve(endpoints_.size());
    for (auto const& endpoint : endpoints_) names.push_back(endpoint.host);
    return names;
}

void SideChannel::answer_all(std::stop_token const& stop) const {
    std::array<pollfd, 2> waits{pollfd{listener_.get(), POLLIN, 0}, pollfd{wake_.get(), POLLIN, 0}};
    while (!stop.stop_requested()) {
        if (::poll(waits.data(), waits.size(), -1) < 0) {
            if (errno == EINTR) continue;
            return;
        }
        if ((waits[0].revents & POLLIN) == 0) continue;
        Descriptor const connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (connection) answer_one(connection);
    }
}

void SideChannel::answer_one(Descriptor const& connection) const {
    ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ::setsockopt(connection.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    Request request;
    auto const got = ::recv(connection.get(), &request, sizeof(request), MSG_WAITALL);
    bool const is_ours = got == static_cast<ssize_t>(sizeof(request)) &&
                         request.secret == endpoints_[static_cast<std::size_t>(rank_)].secret;
    if (!is_ours) return;
    auto const report = answer_(request.question);
    auto left = std::as_bytes(std::span(&report, 1));
    while (!left.empty()) {
        auto const sent = ::send(connection.get(), left.data(), left.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;
        left = left.subspan(static_cast<std::size_t>(sent));
    }
}

}  // namespace tesserank::parallel
