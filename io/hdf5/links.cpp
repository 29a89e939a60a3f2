#include "io/hdf5/links.hpp"

#include "io/hdf5/error.hpp"

#include <set>
#include <vector>

namespace tesserank::io {
namespace {

using kernels::InputError;

herr_t append_name(hid_t /*group*/, char const* name, H5L_info_t const* /*info*/, void* names) {
    try {
        static_cast<std::vector<std::string>*>(names)->emplace_back(name);
        return 0;
    } catch (...) {
        return -1;  // an exception must not cross HDF5's C frames
    }
}

std::vector<std::string> names_in(hid_t group) {
    std::vector<std::string> names;
    check_h5(H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, nullptr, append_name, &names),
             "listing a group");
    return names;
}

class Walk {
  public:
    Walk(std::size_t most_levels,
         std::function<void(std::string const&, H5Dataset const&)> const& visit)
        : most_levels_{most_levels}, visit_{visit} {}

    void enter(hid_t group, std::string const& prefix, std::size_t level) {
        if (level > most_levels_) throw InputError(prefix + ": groups are nested too deeply");
        for (auto const& name : names_in(group)) enter_link(group, prefix + name, name, level);
    }

  private:
    void enter_link(hid_t group, std::string const& path, std::string const& name,
                    std::size_t level) {
        auto object = open_link(group, name);
        H5O_info_t info{};
        check_h5(H5Oget_info(object.get(), &info), path);
        if (!seen_.insert(info.addr).second) throw InputError(path + ": is linked twice");
        if (info.type == H5O_TYPE_GROUP) return enter(object.get(), path + "/", level + 1);
        if (info.type != H5O_TYPE_DATASET) throw InputError(path + ": is not a data set");
        visit_(path, H5Dataset(object.release()));
    }

    std::size_t most_levels_;
    std::function<void(std::string const&, H5Dataset const&)> const& visit_;
    std::set<haddr_t> seen_;
};

}  // namespace

H5Object open_link(hid_t group, std::string const& name) {
    H5L_info_t info{};
    check_h5(H5Lget_info(group, name.c_str(), &info, H5P_DEFAULT), name);
    if (info.type != H5L_TYPE_HARD) {
        throw InputError(name + ": is a link to another place, which a model file must not have");
    }
    return own_h5<H5Object>(H5Oopen(group, name.c_str(), H5P_DEFAULT), name);
}

void visit_datasets(hid_t group, std::size_t most_levels,
                    std::function<void(std::string const&, H5Dataset const&)> const& visit) {
    Walk(most_levels, visit).enter(group, "", 1);
}

}  // namespace tesserank::io
