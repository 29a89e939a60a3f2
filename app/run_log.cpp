#include "app/run_log.hpp"

#include "io/requests/json_text.hpp"

#include <unistd.h>

#include <cstdio>
#include <string>

namespace tesserank::app {
namespace {

void print_event(io::JsonObject& event) { std::fprintf(stderr, "%s\n", event.close().c_str()); }

}  // namespace

RunLog::RunLog(Style style) : style_{style}, terminal_{isatty(STDERR_FILENO) == 1} {}

double RunLog::seconds_since(Clock::time_point start) const {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

void RunLog::loaded(std::string_view summary, LoadSummary const& load) {
    loaded_ = Clock::now();
    double const seconds = seconds_since(start_);
    if (style_ == Style::people) {
        std::fprintf(stderr, "tesserank: %.*s\n", static_cast<int>(summary.size()), summary.data());
        std::fprintf(stderr, "tesserank: loaded in %.2f s: %s\n", seconds, load_line(load).c_str());
    } else if (style_ == Style::json) {
        io::JsonObject event;
        print_event(event.add("event", "loaded")
                        .add("summary", summary)
                        .add("seconds", seconds)
                        .add("bytes_read", load.bytes_read())
                        .add_json("by_rank", load_json(load)));
    }
}

void RunLog::planned(std::string_view summary) {
    if (style_ == Style::people) {
        std::fprintf(stderr, "tesserank: plan %.*s\n", static_cast<int>(summary.size()),
                     summary.data());
    } else if (style_ == Style::json) {
        io::JsonObject event;
        print_event(event.add("event", "planned").add("summary", summary));
    }
}

void RunLog::resumed(std::string_view remark) {
    if (style_ == Style::people) {
        std::fprintf(stderr, "tesserank: %.*s\n", static_cast<int>(remark.size()), remark.data());
    } else if (style_ == Style::json) {
        io::JsonObject event;
        print_event(event.add("event", "resumed").add("remark", remark));
    }
}

void RunLog::batch_done(std::size_t requests, std::size_t tokens) {
    requests_ += requests;
    tokens_ += tokens;
    ++batches_;
    double const seconds = seconds_since(loaded_);
    if (style_ == Style::people && terminal_) {
        std::fprintf(stderr, "\rtesserank: %zu requests, %zu tokens, %.1f tokens/s ", requests_,
                     tokens_, static_cast<double>(tokens_) / seconds);
    } else if (style_ == Style::json) {
        io::JsonObject event;
        print_event(event.add("event", "batch")
                        .add("batch", batches_)
                        .add("requests", requests_)
                        .add("tokens", tokens_)
                        .add("seconds", seconds));
    }
}

void RunLog::stopped(std::string_view reason, std::size_t results, bool goes_on) {
    if (style_ == Style::people) {
        std::fprintf(stderr, "%stesserank: stopped by %.*s after %zu results; %s\n",
                     terminal_ ? "\r" : "", static_cast<int>(reason.size()), reason.data(), results,
                     goes_on ? "run it again to go on" : "this run cannot be continued");
    } else if (style_ == Style::json) {
        io::JsonObject event;
        print_event(event.add("event", "stopped")
                        .add("reason", reason)
                        .add("results", results)
                        .add_json("goes_on", goes_on ? "true" : "false"));
    }
}

void RunLog::finished(std::size_t results, std::size_t errors) {
    double const seconds = seconds_since(loaded_);
    if (style_ == Style::people) {
        std::fprintf(stderr, "%stesserank: %zu results, %zu of them errors; %zu tokens in %.2f s\n",
                     terminal_ ? "\r" : "", results, errors, tokens_, seconds);
    } else if (style_ == Style::json) {
        io::JsonObject event;
        print_event(event.add("event", "finished")
                        .add("results", results)
                        .add("errors", errors)
                        .add("tokens", tokens_)
                        .add("seconds", seconds));
    }
}

}  // namespace tesserank::app
