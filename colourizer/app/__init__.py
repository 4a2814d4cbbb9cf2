"""The page in the browser.

__main__     the command: starts the server
server       HTTP: what the page may ask, and who else may not
photo_store  the photographs that the page works on
page.html    the page
"""
