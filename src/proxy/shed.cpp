#include "larder/proxy/shed.hpp"

#include "larder/net/error.hpp"

namespace larder::proxy {

std::string_view to_string(Shed shed) noexcept {
  switch (shed) {
    case Shed::origin_queue:
      return "origin_queue";
    case Shed::origin_queue_timeout:
      return "origin_queue_timeout";
    case Shed::client_buffers:
      return "client_buffers";
    case Shed::fill_budget:
      return "fill_budget";
    case Shed::count_:
      break;
  }
  return {};
}

std::string_view limit_of(Shed shed) noexcept {
  switch (shed) {
    case Shed::origin_queue:
      return "origin.queue";
    case Shed::origin_queue_timeout:
      return "origin.queue_timeout";
    case Shed::client_buffers:
      return "client.buffers";
    case Shed::fill_budget:
      return "cache.fill_budget";
    case Shed::count_:
      break;
  }
  return {};
}

std::string_view explanation_of(Shed shed) noexcept {
  switch (shed) {
    case Shed::origin_queue:
      return "as many requests wait for the origin as may";
    case Shed::origin_queue_timeout:
      return "no connection to the origin became free in time";
    case Shed::client_buffers:
      return "there is no room for the request's body";
    case Shed::fill_budget:
      return "there is no room to put the response together";
    case Shed::count_:
      break;
  }
  return {};
}

std::string_view proxy_error_of(Shed shed) noexcept {
  const bool is_of_origin = shed == Shed::origin_queue || shed == Shed::origin_queue_timeout;
  return is_of_origin ? "connection_limit_reached" : "proxy_internal_response";
}

std::optional<Shed> shed_by(const net::error_code& error) noexcept {
  if (error == net::Error::origin_queue_full) return Shed::origin_queue;
  if (error == net::Error::origin_busy) return Shed::origin_queue_timeout;
  if (error == net::Error::client_buffers_full) return Shed::client_buffers;
  if (error == net::Error::over_budget) return Shed::fill_budget;
  return std::nullopt;
}

}  // namespace larder::proxy
