// The one translation unit that compiles Asio and Beast (…_SEPARATE_COMPILATION), so that the others need not.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
