#include "io/model_file/convert_copy.hpp"

#include "io/input_file.hpp"
#include "io/model_file/cast.hpp"
#include "kernels/error.hpp"
#include "kernels/phase.hpp"

#include <algorithm>
#include <cstring>

namespace tesserank::io {
namespace {

constexpr std::size_t elements_per_step = std::size_t{1} << 20;
constexpr std::size_t hash_digits = 64;

}  // namespace

std::optional<kernels::DType> kept_dtype(ConvertOptions const& options,
                                         SafetensorsTensor const& tensor) {
    auto const dtype = weight_dtype(tensor.dtype);
    return dtype ? options.dtype.value_or(*dtype) : dtype;
}

std::string packed(ConvertFindings const& findings) {
    std::uint64_t const hashes = findings.hashes.size();
    std::string text(reinterpret_cast<char const*>(&hashes), sizeof hashes);
    for (auto const& hash : findings.hashes) text += hash;
    auto const bytes = std::as_bytes(std::span(findings.checksums));
    return text.append(reinterpret_cast<char const*>(bytes.data()), bytes.size());
}

ConvertFindings unpacked_findings(std::string const& text) {
    std::uint64_t hashes = 0;
    std::memcpy(&hashes, text.data(), sizeof hashes);
    std::size_t at = sizeof hashes;
    ConvertFindings findings;
    for (; hashes > 0; --hashes, at += hash_digits) {
        findings.hashes.push_back(text.substr(at, hash_digits));
    }
    findings.checksums.resize((text.size() - at) / sizeof(std::uint64_t));
    if (!findings.checksums.empty()) {
        std::memcpy(findings.checksums.data(), text.data() + at, text.size() - at);
    }
    return findings;
}

ConvertFindings ShareCopier::run(ConvertShare const& share, std::function<bool()> const& goes_on) {
    kernels::Phase const phase("converting");
    for (std::size_t i = 0; i < source_.size(); ++i) {
        share_bytes_ += bytes_read(source_[i], share[i]);
        total_bytes_ += source_[i].version.bytes;
    }
    std::size_t first_tensor = 0;
    for (std::size_t i = 0; i < source_.size() && goes_on(); ++i) {
        copy_file(source_[i], share[i], first_tensor, goes_on);
        first_tensor += source_[i].tensors.size();
    }
    return std::move(findings_);
}

/// The next bytes of a file, which are part of its hash too.
std::span<std::byte const> ShareCopier::read(InputFile const& file, std::size_t offset,
                                             std::size_t bytes) {
    if (input_.size() < bytes) input_.resize(bytes);
    auto const destination = std::span(input_).first(bytes);
    file.read(offset, destination);
    kernels::note_progress();
    if (hash_) hash_->append(destination);
    done_ += bytes;
    if (options_.progress) {
        auto const scale = static_cast<double>(total_bytes_) / static_cast<double>(share_bytes_);
        auto const scaled = static_cast<std::size_t>(static_cast<double>(done_) * scale);
        options_.progress(done_ == share_bytes_ ? total_bytes_ : std::min(scaled, total_bytes_),
                          total_bytes_);
    }
    return destination;
}

void ShareCopier::copy_file(SafetensorsFile const& file, FileShare const& share,
                            std::size_t first_tensor, std::function<bool()> const& goes_on) {
    if (!share.hashes && share.tensors.count == 0) return;
    InputFile const input(file.path);
    if (input.version() != file.version) {
        throw kernels::InputError(file.path + ": has changed meanwhile");
    }
    hash_ = share.hashes ? std::make_unique<Sha256>() : nullptr;
    if (hash_) read(input, 0, file.tensors.empty() ? input.bytes() : file.tensors.front().offset);
    // The tensors follow each other without a gap, so that reading them hashes the whole file.
    for (std::size_t i = 0; i < file.tensors.size() && goes_on(); ++i) {
        auto const& tensor = file.tensors[i];
        bool const is_mine = share.tensors.begin <= i && i < share.tensors.end();
        auto const dtype = is_mine ? kept_dtype(options_, tensor) : std::nullopt;
        if (!dtype && !hash_) continue;
        if (dtype) {
            writer_.begin(layout_.places[first_tensor + i], *dtype,
                          options_.set ? options_.set->cut_of(tensor.name) : nullptr);
        }
        copy_tensor(input, tensor, dtype, goes_on);
    }
    if (hash_ && goes_on()) findings_.hashes.push_back(hash_->finish());
}

void ShareCopier::copy_tensor(InputFile const& file, SafetensorsTensor const& tensor,
                              std::optional<kernels::DType> dtype,
                              std::function<bool()> const& goes_on) {
    auto const width = size_of(tensor.dtype);
    for (std::size_t done = 0; done < tensor.bytes;) {
        if (!goes_on()) return;
        auto const bytes = std::min(tensor.bytes - done, elements_per_step * width);
        auto const source = read(file, tensor.offset + done, bytes);
        if (dtype) {
            output_.resize(bytes / width * kernels::size_of(*dtype));
            cast(tensor.dtype, source, *dtype, output_);
            writer_.append(output_);
        }
        done += bytes;
    }
    if (!dtype) return;
    auto const checksums = writer_.end();
    findings_.checksums.insert(findings_.checksums.end(), checksums.begin(), checksums.end());
}

}  // namespace tesserank::io
