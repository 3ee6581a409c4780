#include "stream.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/un.h>

namespace larder::redis {
namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using boost::system::error_code;

namespace {

bool is_address(const std::string& host) {
  error_code ignored;
  asio::ip::make_address(host, ignored);
  return !ignored;
}

std::string place_of(const ConnectionParameters& parameters) {
  if (parameters.transport == ConnectionParameters::Transport::unix_socket) return parameters.host;
  const bool bracketed = parameters.host.find(':') != std::string::npos;
  return (bracketed ? "[" + parameters.host + "]" : parameters.host) + ":" + std::to_string(parameters.port);
}

}  // namespace

std::unique_ptr<ssl::context> make_tls_context(const ConnectionParameters& parameters) {
  auto context = std::make_unique<ssl::context>(ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  if (!parameters.tls_verify) {
    context->set_verify_mode(ssl::verify_none);
    return context;
  }
  context->set_verify_mode(ssl::verify_peer);
  if (parameters.tls_ca_file.empty())
    context->set_default_verify_paths();
  else
    context->load_verify_file(parameters.tls_ca_file);
  return context;
}

Stream::Stream(asio::io_context& context) : socket_(context.get_executor()) {}

Awaitable<std::string> Stream::connect(const ConnectionParameters& parameters, ssl::context* tls) {
  std::vector<Endpoint> endpoints;
  std::string why = co_await find_endpoints(parameters, endpoints);
  if (!why.empty()) co_return why;

  enter("connecting");
  error_code error = asio::error::host_not_found;
  for (const Endpoint& endpoint : endpoints) {
    error_code ignored;
    socket_.close(ignored);
    co_await socket_.async_connect(endpoint, asio::redirect_error(Token{}, error));
    if (closed_) co_return std::string("closed");
    if (!error) break;
  }
  if (error) co_return "connect to " + place_of(parameters) + ": " + error.message();

  if (parameters.transport != ConnectionParameters::Transport::unix_socket) {
    error_code ignored;  // neither option is needed for being right
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  }
  if (parameters.transport == ConnectionParameters::Transport::tls) why = co_await shake_hands(parameters, *tls);
  co_return why;
}

Awaitable<std::string> Stream::find_endpoints(const ConnectionParameters& parameters,
                                              std::vector<Endpoint>& endpoints) {
  if (parameters.transport == ConnectionParameters::Transport::unix_socket) {
    if (parameters.host.size() >= sizeof(sockaddr_un::sun_path))
      co_return "connect to " + parameters.host + ": the path is too long for a Unix socket";
    endpoints.emplace_back(asio::local::stream_protocol::endpoint(parameters.host));
    co_return std::string();
  }
  error_code error;
  const asio::ip::address address = asio::ip::make_address(parameters.host, error);
  if (!error) {
    endpoints.emplace_back(asio::ip::tcp::endpoint(address, parameters.port));
    co_return std::string();
  }

  enter("resolving the host name");
  const auto resolution = std::make_shared<Resolution>(socket_.get_executor());
  resolution_ = resolution;
  resolution->finished.expires_at(std::chrono::steady_clock::time_point::max());
  resolution->resolver.async_resolve(parameters.host, std::to_string(parameters.port), Resolver::numeric_service,
                                     [resolution](const error_code& outcome, const Resolver::results_type& results) {
                                       resolution->error = outcome;
                                       for (const auto& result : results)
                                         resolution->endpoints.emplace_back(result.endpoint());
                                       resolution->finished.cancel();
                                     });
  co_await resolution->finished.async_wait(asio::redirect_error(Token{}, error));
  resolution_.reset();
  if (closed_) co_return std::string("closed");
  if (resolution->error) co_return "resolve " + parameters.host + ": " + resolution->error.message();
  endpoints = std::move(resolution->endpoints);
  co_return std::string();
}

Awaitable<std::string> Stream::shake_hands(const ConnectionParameters& parameters, ssl::context& tls) {
  enter("in the TLS handshake");
  tls_.emplace(socket_, tls);
  error_code error;
  if (parameters.tls_verify) {
    tls_->set_verify_callback(ssl::host_name_verification(parameters.host), error);
    if (error) co_return "TLS: " + error.message();
  }
  if (!is_address(parameters.host))  // RFC 6066, section 3: literal addresses are not permitted in SNI
    SSL_set_tlsext_host_name(tls_->native_handle(), parameters.host.c_str());
  co_await tls_->async_handshake(ssl::stream_base::client, asio::redirect_error(Token{}, error));
  if (!error) co_return std::string();
  std::string why = "TLS: " + error.message();
  const long verdict = SSL_get_verify_result(tls_->native_handle());
  if (verdict != X509_V_OK) why.append(" (").append(X509_verify_cert_error_string(verdict)).append(")");
  co_return why;
}

void Stream::close() noexcept {
  closed_ = true;
  error_code ignored;
  socket_.close(ignored);
  if (resolution_) {
    resolution_->resolver.cancel();
    resolution_->finished.cancel();
  }
}

}  // namespace larder::redis
