/** The text without the users and passwords of the URLs in it. */
export const withoutPasswords = (text: string) =>
  text.replace(/\/\/\S*@/g, '//…@').replace(/([?&]password=)[^&\s']*/gi, '$1…')
