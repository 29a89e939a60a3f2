#include "io/journal/journal.hpp"

#include "io/file_error.hpp"
#include "io/json_reader.hpp"
#include "io/model_file/checksum.hpp"
#include "io/requests/json_text.hpp"
#include "io/requests/line_reader.hpp"
#include "io/requests/partial_file.hpp"
#include "kernels/error.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <span>
#include <utility>

namespace tesserank::io {
namespace {

using kernels::InputError;

constexpr std::string_view format_name = "tesserank-journal";
constexpr std::int64_t format_version = 1;
constexpr std::size_t longest_line = std::size_t{1} << 20;
constexpr std::size_t check_digits = 16;

std::string check_of(std::string_view json) {
    std::array<char, check_digits + 1> text{};
    std::snprintf(text.data(), text.size(), "%016" PRIx64,
                  checksum_of(std::as_bytes(std::span(json))));
    return text.data();
}

/// The JSON of a line; nullopt when its check is wrong.
std::optional<std::string_view> checked(std::string_view line) {
    if (line.size() < check_digits + 1 || line[check_digits] != ' ') return std::nullopt;
    auto const json = line.substr(check_digits + 1);
    return line.substr(0, check_digits) == check_of(json) ? std::optional(json) : std::nullopt;
}

std::string text_of(RunIdentity::Facts const& facts) {
    JsonObject object;
    for (auto const& [name, value] : facts) object.add(name, value);
    return object.close();
}

RunIdentity::Facts facts_of(JsonNode const& node) {
    RunIdentity::Facts facts;
    for (auto const& [name, value] : node.members()) facts[name] = value.string();
    return facts;
}

std::string text_of(RunProgress const& progress) {
    return JsonObject()
        .add("batches", progress.batches)
        .add("lines", progress.lines)
        .add("results", progress.results)
        .add("errors", progress.errors)
        .add("output_bytes", progress.output_bytes)
        .add("output_hash", progress.output_hash)
        .add_json("complete", progress.complete ? "true" : "false")
        .close();
}

/// One line, so that a journal that is made anew never speaks of the run without its progress.
std::string text_of(RunIdentity const& identity, RunProgress const& progress) {
    JsonObject object;
    object.add("format", format_name)
        .add("format_version", format_version)
        .add_json("bound", text_of(identity.bound))
        .add_json("loose", text_of(identity.loose));
    if (progress != RunProgress{}) object.add_json("progress", text_of(progress));
    return object.close();
}

RunIdentity parse_identity(JsonNode const& root) {
    auto const format = root.at("format");
    if (format.string() != format_name)
        format.fail_expected("\"" + std::string(format_name) + "\"");
    auto const version = root.at("format_version");
    if (version.integer(1, std::numeric_limits<std::int64_t>::max()) > format_version) {
        version.fail_expected(std::to_string(format_version) +
                              " at most: a newer tesserank has to continue it");
    }
    root.allow_only({"format", "format_version", "bound", "loose", "progress"});
    return {facts_of(root.at("bound")), facts_of(root.at("loose"))};
}

RunProgress parse_progress(JsonNode const& root) {
    root.allow_only(
        {"batches", "lines", "results", "errors", "output_bytes", "output_hash", "complete"});
    auto const number = [&](std::string_view key) {
        return static_cast<std::size_t>(
            root.at(key).integer(0, std::numeric_limits<std::int64_t>::max()));
    };
    return {.batches = number("batches"),
            .lines = number("lines"),
            .results = number("results"),
            .errors = number("errors"),
            .output_bytes = number("output_bytes"),
            .output_hash = root.at("output_hash").string(),
            .complete = root.at("complete").boolean()};
}

/// A line that is wrong is one that was being written when the run was killed, if nothing is behind
/// it.
class Parser {
  public:
    Parser(std::string const& path, std::size_t bytes)
        : path_{path}, bytes_{bytes}, lines_{path, longest_line} {}

    std::optional<JournalContent> content() {
        std::optional<JournalContent> content;
        while (lines_.next()) {
            if (broken_ > 0) fail_broken();
            auto const json = lines_.too_long() ? std::nullopt : checked(lines_.text());
            std::size_t const end = (content ? content->bytes : 0) + lines_.text().size() + 1;
            if (!json || end > bytes_) {
                broken_ = lines_.line();
                continue;
            }
            JsonDocument const document(*json, path_ + ": line " + std::to_string(lines_.line()));
            if (!content) {
                content.emplace().identity = parse_identity(document.root());
                if (auto const begun = document.root().find("progress")) {
                    content->progress = parse_progress(*begun);
                }
            } else {
                content->progress = parse_progress(document.root());
            }
            content->bytes = end;
        }
        return content;
    }

  private:
    [[noreturn]] void fail_broken() const {
        throw InputError(path_ + ": line " + std::to_string(broken_) +
                         " is damaged; give --resume no to start anew");
    }

    std::string path_;
    std::size_t bytes_;  ///< a last line may lack its end
    LineReader lines_;
    std::size_t broken_ = 0;
};

}  // namespace

std::string journal_of(std::string const& output) { return follow_links(output) + ".journal"; }

std::optional<JournalContent> read_journal(std::string const& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return std::nullopt;
        throw kernels::SystemError(file_error(path, "looked at", errno));
    }
    if (!S_ISREG(status.st_mode)) {
        throw InputError(path + ": is no file, expected the journal of a run; give the output " +
                         "another name");
    }
    return Parser(path, static_cast<std::size_t>(status.st_size)).content();
}

std::string difference(RunIdentity::Facts const& journal, RunIdentity::Facts const& run) {
    std::string text;
    auto const add = [&](std::string const& name, std::string_view found, std::string_view was) {
        text += (text.empty() ? "" : "; ") + name + ": found " + std::string(found) + ", was " +
                std::string(was);
    };
    for (auto const& [name, value] : run) {
        auto const was = journal.find(name);
        if (was == journal.end()) {
            add(name, value, "not said");
        } else if (was->second != value) {
            add(name, value, was->second);
        }
    }
    for (auto const& [name, value] : journal) {
        if (!run.contains(name)) add(name, "not said", value);
    }
    return text;
}

Journal::Journal(std::string path, RunIdentity identity)
    : path_{std::move(path)}, identity_{std::move(identity)} {
    make({});
}

Journal::Journal(std::string path, JournalContent const& content)
    : path_{std::move(path)}, identity_{content.identity} {
    descriptor_ = open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (descriptor_ < 0) fail("continued");
    if (ftruncate(descriptor_, static_cast<off_t>(content.bytes)) != 0) fail("continued");
}

Journal::Journal(Journal&& other) noexcept
    : path_{std::move(other.path_)},
      identity_{std::move(other.identity_)},
      descriptor_{std::exchange(other.descriptor_, -1)} {}

Journal::~Journal() {
    if (descriptor_ >= 0) static_cast<void>(close(descriptor_));
}

void Journal::make(RunProgress const& progress) {
    if (descriptor_ >= 0) static_cast<void>(close(descriptor_));
    descriptor_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail("made");
    write_line(text_of(identity_, progress));
    sync_folder_of(path_);
}

void Journal::append(RunProgress const& progress) {
    if (is_named(descriptor_, path_)) {
        write_line(text_of(progress));
    } else {
        make(progress);
    }
}

void Journal::remove() {
    if (unlink(path_.c_str()) != 0 && errno != ENOENT) fail("removed");
    sync_folder_of(path_);
}

void Journal::write_line(std::string_view json) {
    auto const line = check_of(json) + " " + std::string(json) + "\n";
    for (std::size_t done = 0; done < line.size();) {
        auto const count = write(descriptor_, line.data() + done, line.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail("written");
        done += static_cast<std::size_t>(count);
    }
    if (fdatasync(descriptor_) != 0) fail("made durable");
}

void Journal::fail(char const* what) const {
    throw kernels::SystemError(file_error(path_, what, errno));
}

}  // namespace tesserank::io
