"""The page in the browser.

__main__         the command: loads the network, prints the address, starts the server
server           routes, and the HTTP server that they are asked by
access           who is answered: token, cookie, same-origin checks; security headers
senders          slow senders and readers: time limits, how many are waited for
handlers         what is done at each address
request_parsing  settings, sizes, keys and lists that requests hold
answers          JSON, downloads, errors in words
work_queue       work in threads, and how much of it may wait
photo_store      the uploaded photographs: files, cached predictions, limits
expiring_store   references and albums of pages: few, and expiring
decoding_weight  how much memory a photograph takes, before it is decoded
shown_pictures   the pictures that the page shows of a photograph
file_names       names that every system can unpack
page             the page: HTML, CSS and JavaScript; its editor is that of web/, too
"""
