#include "tests/coordinator/support/damaged_pages.h"

#include <cstdint>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <vector>

#include "coordinator/store/database.h"

namespace equipoise::coordinator {
namespace {

// https://www.sqlite.org/fileformat2.html: numbers are big-endian, pages count from 1, the first begins with the
// header of the file.
class DatabasePages {
 public:
  explicit DatabasePages(const std::filesystem::path& file) : file_(file) {
    std::ifstream reader(file, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(reader), {});
    page_bytes_ = number(16, 2);
  }
  void add_leaves(std::size_t page, std::vector<std::size_t>& leaves) const {
    constexpr std::size_t kInteriorIndex = 2, kInteriorTable = 5, kInteriorHeader = 12;
    const std::size_t begin = (page - 1) * page_bytes_;
    const std::size_t kind = number(begin, 1);
    if (kind != kInteriorIndex && kind != kInteriorTable) return leaves.push_back(page);
    for (std::size_t cell = 0; cell < number(begin + 3, 2); ++cell) {
      add_leaves(number(begin + number(begin + kInteriorHeader + 2 * cell, 2), 4), leaves);
    }
    add_leaves(number(begin + 8, 4), leaves);
  }
  void destroy(std::size_t page) const {
    std::fstream writer(file_, std::ios::in | std::ios::out | std::ios::binary);
    writer.seekp(static_cast<std::streamoff>((page - 1) * page_bytes_));
    writer << std::string(page_bytes_, '\0');
  }

 private:
  std::size_t number(std::size_t place, std::size_t length) const {
    std::size_t value = 0;
    for (std::size_t i = 0; i < length; ++i) value = value << 8U | static_cast<unsigned char>(bytes_.at(place + i));
    return value;
  }

  std::filesystem::path file_;
  std::vector<char> bytes_;
  std::size_t page_bytes_ = 0;
};

std::size_t root_page(const std::filesystem::path& file, const std::string& name) {
  Database database(file);
  database.execute("PRAGMA wal_checkpoint(TRUNCATE)");
  Statement select(database, "SELECT rootpage FROM sqlite_master WHERE name = ?");
  select.begin(name);
  if (!select.next()) throw std::runtime_error(file.string() + " has no " + name);
  return static_cast<std::size_t>(select.integer(0));
}

}  // namespace

void destroy_leaf(const std::filesystem::path& file, const std::string& name, std::size_t leaf) {
  const std::size_t root = root_page(file, name);
  const DatabasePages pages(file);
  std::vector<std::size_t> leaves;
  pages.add_leaves(root, leaves);
  if (leaf >= leaves.size()) throw std::runtime_error(name + " has " + std::to_string(leaves.size()) + " leaves");
  pages.destroy(leaves[leaf]);
}

}  // namespace equipoise::coordinator
