/** Name of the file in the data folder that tells other processes of this user how to reach the daemon. */
export const apiFileName = 'api.json';
