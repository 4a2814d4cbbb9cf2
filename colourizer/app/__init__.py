"""The page in the browser.

__main__     the command: loads the network, starts the server
server       HTTP: routes, request parsing, same-origin checks, upload limit
photo_store  the uploaded photographs: files, cached predictions, limits
page.html    the page
"""
