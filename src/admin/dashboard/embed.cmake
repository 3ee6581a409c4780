# Makes a C++ source of the dashboard's files: cmake -DDIRECTORY=… -DFILES=a;b -DOUTPUT=… -P embed.cmake
# Each file becomes a string literal of \x escapes; its entity tag is made of its SHA-256.
set(rows "")
foreach(name ${FILES})
  get_filename_component(extension ${name} LAST_EXT)
  string(SUBSTRING ${extension} 1 -1 extension)
  if(extension STREQUAL "html")
    set(type "text/html; charset=utf-8")
  elseif(extension STREQUAL "css")
    set(type "text/css; charset=utf-8")
  elseif(extension STREQUAL "js")
    set(type "text/javascript; charset=utf-8")
  elseif(extension STREQUAL "svg")
    set(type "image/svg+xml")
  else()
    message(FATAL_ERROR "embed.cmake: no media type is known for ${name}")
  endif()
  if(name STREQUAL "index.html")
    set(path "/")
  else()
    set(path "/dashboard/${name}")
  endif()
  file(SHA256 ${DIRECTORY}/${name} digest)
  string(SUBSTRING ${digest} 0 32 tag)
  file(SIZE ${DIRECTORY}/${name} size)
  file(READ ${DIRECTORY}/${name} hex HEX)
  string(REGEX REPLACE "(..)" "\\\\x\\1" escaped "${hex}")
  string(APPEND rows "    {\"${path}\", \"${type}\", \"\\\"${tag}\\\"\", {\"${escaped}\", ${size}}},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made by src/admin/dashboard/embed.cmake.
#include \"larder/admin/dashboard.hpp\"

#include <array>

namespace larder::admin {
namespace {

constexpr auto assets = std::to_array<DashboardAsset>({
${rows}});

}  // namespace

std::span<const DashboardAsset> dashboard_assets() noexcept { return assets; }

}  // namespace larder::admin
")
