#include "app/pci_cores.hpp"

#include <gtest/gtest.h>

namespace tesserank::app {
namespace {

std::string const two_sockets = TESSERANK_SOURCE_DIR "/tests/app/two_sockets.xml";

TEST(PciCores, AreThoseOfTheDevicesSocket) {
    EXPECT_EQ(list_cores(cores_near_pci("0000:3b:00.0", two_sockets)), "0-1");
    EXPECT_EQ(list_cores(cores_near_pci("0000:bb:00.0", two_sockets)), "2-3");
}

TEST(PciCores, AreUnknownOfOtherDevices) {
    EXPECT_TRUE(cores_near_pci("0000:99:00.0", two_sockets).none());
    EXPECT_TRUE(cores_near_pci("", two_sockets).none());
    EXPECT_TRUE(cores_near_pci("0000:3b:00.0", "/nonexistent.xml").none());
    EXPECT_TRUE(cores_near_pci("ffff:ff:1f.7").none()) << "on this machine";
}

}  // namespace
}  // namespace tesserank::app
